"""What a connection tells the application."""

from dataclasses import dataclass, field
from typing import Optional

from .errors import Close, Code, Processed
from .frames import Hello


@dataclass
class Opened:
    """The peer's HELLO has come."""

    hello: Hello


@dataclass
class CallStarted:
    """To a server: run this method. `message` is the request where there is exactly one."""

    call: int
    method: int
    kind: int
    lane: int
    metadata: list
    expires: Optional[float]
    arrived: float
    message: Optional[bytes]


@dataclass
class MessageArrived:
    """One message of a stream; `taken` gives its credit back."""

    call: int
    message: bytes


@dataclass
class RequestsEnded:
    """To a server: the client's stream is over."""

    call: int


@dataclass
class StopRequested:
    """To a server: the handler should end; nobody waits for its answer any more."""

    call: int
    reason: Code


@dataclass
class Sent:
    """All that the application gave to this call is on its way."""

    call: int


@dataclass
class Result:
    """How a call ended for its caller."""

    code: Code
    text: str = ""
    processed: Processed = Processed.MAYBE
    message: Optional[bytes] = None
    details: bytes = b""
    metadata: list = field(default_factory=list)
    queued: int = 0
    ran: int = 0
    retry_after: int = 0


@dataclass
class Finished:
    """To a client: the one result of a call."""

    call: int
    result: Result


@dataclass
class RoomForCalls:
    """To a client: a slot of the server is free again."""


@dataclass
class Draining:
    """To a client: no more calls here."""


@dataclass
class Closed:
    """The connection is over."""

    code: Close
    rule: int
    reason: str
