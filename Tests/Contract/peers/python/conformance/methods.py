"""The methods that the harness calls (PROTOCOL.md, "As a server")."""

import hashlib
from dataclasses import dataclass

from wire.frames import BIDI, CLIENT_STREAM, SERVER_STREAM, UNARY
from wire.server import MethodRules

DEFAULT_DEADLINE, LONGEST_DEADLINE = 30.0, 600.0
EVERYBODY = frozenset({"operator", "gateway", "conformance"})


@dataclass(frozen=True)
class Method:
    name: str
    kind: int
    limit: int  # bytes of its largest request and response
    callers: frozenset = EVERYBODY

    @property
    def id(self) -> int:
        name = f"lockstep.conformance.v1.ConformanceService/{self.name}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")

    @property
    def rules(self) -> MethodRules:
        return MethodRules(self.limit, DEFAULT_DEADLINE, LONGEST_DEADLINE)


# In the order of the harness's enumeration `Method`.
METHODS = [
    Method("Unary", UNARY, 4_194_304),
    Method("Idempotent", UNARY, 16_384),
    Method("ClientStream", CLIENT_STREAM, 1_048_576),
    Method("ServerStream", SERVER_STREAM, 1_048_576),
    Method("Bidi", BIDI, 1_048_576),
    Method("Forbidden", UNARY, 65_536, frozenset({"conformance"})),
]
BY_ID = {method.id: method for method in METHODS}


def rules(id: int):
    method = BY_ID.get(id)
    return method.rules if method else None


def payload(size: int, index: int) -> bytes:
    """Byte i of message n is (n + i) mod 251."""
    cycle = bytes(range(251))
    start = index % 251
    return (cycle * ((start + size) // 251 + 1))[start:start + size]
