"""Frames as values, and their bytes (WIRE.md, sections 2 to 4)."""

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Optional

from .limits import MAX_REASON

HEADER = struct.Struct(">IBBHI")
MAGIC = 0x4C4B5354
MESSAGE, END = 1, 2

CLIENT, SERVER = "client", "server"
UNARY, CLIENT_STREAM, SERVER_STREAM, BIDI = range(4)


@dataclass
class Hello:
    type: ClassVar[int] = 0x01
    fixed: ClassVar[struct.Struct] = struct.Struct(">IHHIIIIIIIHH")
    max_frame_size: int
    max_concurrent_calls: int
    connection_credit: int
    call_credit: int
    max_metadata_size: int
    max_message_size: int
    min_ping_interval: int
    fingerprints: list = field(default_factory=list)  # (name, 8 bytes)
    major: int = 1
    minor: int = 0

    def encode(self) -> bytes:
        payload = self.fixed.pack(
            MAGIC, self.major, self.minor, self.max_frame_size, self.max_concurrent_calls, self.connection_credit,
            self.call_credit, self.max_metadata_size, self.max_message_size, self.min_ping_interval,
            len(self.fingerprints), 0)
        for name, fingerprint in self.fingerprints:
            payload += bytes([len(name)]) + name.encode() + fingerprint
        return frame(self.type, 0, 0, payload)


@dataclass
class Call:
    type: ClassVar[int] = 0x02
    fixed: ClassVar[struct.Struct] = struct.Struct(">IQBBHI")
    call: int
    method: int
    remaining: int  # microseconds
    kind: int
    lane: int = 0
    metadata: bytes = b""
    length: Optional[int] = None  # of the message that begins here; None: none does
    fragment: bytes = b""
    end: bool = False

    def encode(self) -> bytes:
        flags = (0 if self.length is None else MESSAGE) | (END if self.end else 0)
        fixed = self.fixed.pack(
            self.method, self.remaining, self.kind, self.lane, len(self.metadata), self.length or 0)
        return frame(self.type, flags, self.call, fixed + self.metadata + self.fragment)


@dataclass
class Msg:
    type: ClassVar[int] = 0x03
    call: int
    length: Optional[int] = None  # None: the next fragment of the message under way
    fragment: bytes = b""
    end: bool = False

    def encode(self) -> bytes:
        flags = (0 if self.length is None else MESSAGE) | (END if self.end else 0)
        start = b"" if self.length is None else struct.pack(">I", self.length)
        return frame(self.type, flags, self.call, start + self.fragment)


@dataclass
class End:
    type: ClassVar[int] = 0x04
    call: int

    def encode(self) -> bytes:
        return frame(self.type, 0, self.call, b"")


@dataclass
class Status:
    type: ClassVar[int] = 0x05
    fixed: ClassVar[struct.Struct] = struct.Struct(">IBBHIIIHHI")
    call: int
    code: int
    processed: int
    text: bytes = b""
    queued: int = 0  # microseconds
    ran: int = 0  # microseconds
    retry_after: int = 0  # milliseconds
    metadata: bytes = b""
    details: bytes = b""
    message: Optional[bytes] = None

    def encode(self) -> bytes:
        fixed = self.fixed.pack(
            self.code, self.processed, 0, len(self.text), self.queued, self.ran, self.retry_after, len(self.metadata),
            len(self.details), len(self.message or b""))
        flags = 0 if self.message is None else MESSAGE
        payload = fixed + self.text + self.metadata + self.details + (self.message or b"")
        return frame(self.type, flags, self.call, payload)

    @property
    def size(self) -> int:
        parts = (self.text, self.metadata, self.details, self.message or b"")
        return self.fixed.size + sum(map(len, parts))


@dataclass
class Cancel:
    type: ClassVar[int] = 0x06
    call: int

    def encode(self) -> bytes:
        return frame(self.type, 0, self.call, b"")


@dataclass
class Credit:
    type: ClassVar[int] = 0x07
    call: int  # 0: the connection's
    bytes: int

    def encode(self) -> bytes:
        return frame(self.type, 0, self.call, struct.pack(">I", self.bytes))


@dataclass
class Ping:
    type: ClassVar[int] = 0x08
    value: bytes

    def encode(self) -> bytes:
        return frame(self.type, 0, 0, self.value)


@dataclass
class Pong:
    type: ClassVar[int] = 0x09
    value: bytes

    def encode(self) -> bytes:
        return frame(self.type, 0, 0, self.value)


@dataclass
class Drain:
    type: ClassVar[int] = 0x0A
    last_call: int
    grace: int  # milliseconds
    reason: bytes = b""

    def encode(self) -> bytes:
        return frame(self.type, 0, 0, struct.pack(">II", self.last_call, self.grace) + self.reason[:MAX_REASON])


@dataclass
class DrainAck:
    type: ClassVar[int] = 0x0B
    last_call: int

    def encode(self) -> bytes:
        return frame(self.type, 0, 0, struct.pack(">I", self.last_call))


@dataclass
class Goodbye:
    type: ClassVar[int] = 0x0C
    code: int
    rule: int
    last_call: int
    reason: bytes = b""

    def encode(self) -> bytes:
        fixed = struct.pack(">HHI", self.code, self.rule, self.last_call)
        return frame(self.type, 0, 0, fixed + self.reason[:MAX_REASON])


@dataclass
class Skipped:
    """A type from 0x80 up, which asks to be skipped (W-07)."""

    number: int


def frame(type: int, flags: int, call: int, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), type, flags, 0, call) + payload
