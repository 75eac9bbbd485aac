"""Limits and timers of WIRE.md, section 12. Sizes in bytes, times in seconds."""

from dataclasses import dataclass
from typing import Optional

MAX_CALL_ID = 2**31 - 1
MAX_CREDIT = 2**31 - 1
NO_DEADLINE = 2**64 - 1
HELLO_SIZE = 16_384
RETIRING_ID = 1_610_612_733
MESSAGE_COST = 32
SMALL_CREDIT = 4_096
SMALL_FRAGMENT = 1_024
HIGH_WATER = 1_048_576
MAX_TEXT = 1_024
MAX_DETAILS = 4_096
MAX_REASON = 256
MAX_FINGERPRINTS = 64
MAX_ENTRIES = 64
MAX_KEY = 64


@dataclass(frozen=True)
class Limits:
    """What a side announces in HELLO, and `max_reassembly`, which it keeps to itself."""

    max_frame_size: int = 65_536
    max_concurrent_calls: int = 1_024
    connection_credit: int = 4_194_304
    call_credit: int = 262_144
    max_metadata_size: int = 8_192
    max_message_size: int = 4_194_304
    min_ping_interval: int = 1_000  # milliseconds
    max_reassembly: int = 33_554_432


@dataclass(frozen=True)
class Timers:
    handshake: float = 5.0
    frame: float = 10.0
    message: float = 60.0
    write: float = 30.0
    keepalive_interval: float = 10.0
    keepalive_timeout: float = 5.0
    drain_grace: float = 30.0
    # A server's own (W-108).
    max_age: Optional[float] = None
    idle: Optional[float] = None


# The bounds of W-14.
BOUNDS = {
    "max_frame_size": (16_384, 1_048_576),
    "connection_credit": (16_384, MAX_CREDIT),
    "call_credit": (16_384, MAX_CREDIT),
    "max_metadata_size": (1_024, 8_192),
    "max_message_size": (1_024, 67_108_864),
    "min_ping_interval": (10, 3_600_000),
}
