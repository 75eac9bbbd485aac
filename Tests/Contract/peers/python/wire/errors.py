"""What can go wrong, and how it is said on the wire (W-82, W-83, W-110)."""

from enum import IntEnum


class Code(IntEnum):
    """How a call ends."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def _missing_(cls, value):
        return cls.UNKNOWN


class Processed(IntEnum):
    """Whether the method's code ran."""

    NO = 0
    MAYBE = 1
    YES = 2


class Close(IntEnum):
    """Why a connection ends: the code of GOODBYE."""

    NONE = 0
    PROTOCOL_ERROR = 1
    FRAME_TOO_LARGE = 2
    FLOW_CONTROL = 3
    FLOOD = 4
    TIMEOUT = 5
    VERSION = 6
    INTERNAL = 7

    @classmethod
    def _missing_(cls, value):
        return cls.INTERNAL


class WireError(Exception):
    """The peer broke rule `rule`; the connection ends."""

    def __init__(self, code: Close, rule: int, reason: str = ""):
        super().__init__(f"W-{rule:02}: {reason or code.name}")
        self.code = code
        self.rule = rule
        self.reason = reason


class CallError(Exception):
    """One call ends with this code; the connection goes on."""

    def __init__(self, code: Code, rule: int, reason: str):
        super().__init__(reason)
        self.code = code
        self.rule = rule
        self.reason = reason


def broken(rule: int, reason: str = "") -> WireError:
    """A PROTOCOL_ERROR."""
    return WireError(Close.PROTOCOL_ERROR, rule, reason)
