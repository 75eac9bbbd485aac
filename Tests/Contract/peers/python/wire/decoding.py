"""Frames from bytes, or the rule that those break (WIRE.md, sections 2 to 4)."""

import re
import struct

from .errors import Close, WireError, broken
from .frames import (
    CLIENT, END, MAGIC, MESSAGE, SERVER, Call, Cancel, Credit, Drain, DrainAck, End, Goodbye, Hello, Msg, Ping, Pong,
    Skipped, Status)
from .limits import HELLO_SIZE, MAX_CALL_ID, MAX_FINGERPRINTS, MAX_REASON

# Types that are sent by one role only (W-08), and flags: all, or those that a role may set (W-04).
SENT_BY = {0x02: CLIENT, 0x04: CLIENT, 0x05: SERVER, 0x06: CLIENT, 0x0A: SERVER, 0x0B: CLIENT}
FLAGS = {0x02: MESSAGE | END, 0x03: MESSAGE | END, 0x05: MESSAGE}
OF_CALLS = {0x02, 0x03, 0x04, 0x05, 0x06}
CREDIT_TYPE, LAST_TYPE, FIRST_SKIPPED = 0x07, 0x0C, 0x80


def check_header(length: int, type: int, max_size: int, is_first: bool):
    """What is found before a payload is read."""
    if is_first and type != Hello.type:
        raise broken(10, "the first frame is not HELLO")
    if length > (HELLO_SIZE if is_first else max_size):
        raise WireError(Close.FRAME_TOO_LARGE, 2, f"a frame of {length} bytes")


def decode(header: tuple, payload: bytes, sender: str):
    """A frame from its whole bytes, sent by the role `sender`."""
    _, type, flags, reserved, call = header
    if type >= FIRST_SKIPPED:
        return Skipped(type)
    if not 0x01 <= type <= LAST_TYPE:
        raise broken(6, f"the type 0x{type:02x}")
    if SENT_BY.get(type, sender) != sender:
        raise broken(8, f"the type 0x{type:02x} from a {sender}")
    allowed = MESSAGE if type == Msg.type and sender == SERVER else FLAGS.get(type, 0)
    if flags & ~allowed or reserved:
        raise broken(4, "a reserved bit is set")
    check_call_id(type, call)
    return DECODERS[type](flags, call, payload)


def check_call_id(type: int, call: int):
    if type in OF_CALLS and not 1 <= call <= MAX_CALL_ID:
        raise broken(5, "a frame of a call without a call")
    if type == CREDIT_TYPE and call > MAX_CALL_ID:
        raise broken(5, "a call id out of range")
    if type not in OF_CALLS and type != CREDIT_TYPE and call != 0:
        raise broken(5, "a frame of the connection with a call id")


def cut(fixed: struct.Struct, payload: bytes) -> tuple:
    """The fixed part's fields, and what is behind it."""
    if len(payload) < fixed.size:
        raise broken(3, "a payload shorter than its fixed part")
    return fixed.unpack_from(payload), payload[fixed.size:]


def exact(layout: str, payload: bytes) -> tuple:
    if len(payload) != struct.calcsize(layout):
        raise broken(3, "a payload of another length than its type has")
    return struct.unpack(layout, payload)


def decode_hello(flags: int, call: int, payload: bytes) -> Hello:
    # The major version comes before anything behind it: another one may look different there (W-12).
    if len(payload) < 6:
        raise broken(3, "HELLO cut short")
    magic, major = struct.unpack_from(">IH", payload)
    if magic != MAGIC:
        raise broken(11, "another magic")
    if major != 1:
        raise WireError(Close.VERSION, 12, f"major version {major}")
    fields, rest = cut(Hello.fixed, payload)
    (count, extensions) = fields[10:]
    if count > MAX_FINGERPRINTS:
        raise broken(15, f"{count} fingerprints")
    fingerprints, rest = decode_fingerprints(count, rest)
    check_extensions(extensions, rest)
    return Hello(*fields[3:10], fingerprints=fingerprints, major=major, minor=fields[2])


def decode_fingerprints(count: int, rest: bytes) -> tuple:
    found = []
    for _ in range(count):
        length = rest[0] if rest else 0
        if len(rest) < 1 + length + 8:
            raise broken(3, "a fingerprint cut short")
        name = rest[1:1 + length]
        if not re.fullmatch(rb"[A-Za-z0-9_.]{1,128}", name):
            raise broken(15, "a service's name")
        found.append((name.decode(), rest[1 + length:9 + length]))
        rest = rest[9 + length:]
    return found, rest


def check_extensions(count: int, rest: bytes):
    for _ in range(count):
        if len(rest) < 4:
            raise broken(3, "an extension cut short")
        tag, length = struct.unpack_from(">HH", rest)
        if len(rest) < 4 + length:
            raise broken(3, "an extension cut short")
        if tag < 0x8000:
            raise broken(16, f"the extension 0x{tag:04x}")
        rest = rest[4 + length:]
    if rest:
        raise broken(3, "HELLO has a tail")


def decode_call(flags: int, call: int, payload: bytes) -> Call:
    (method, remaining, kind, lane, metadata_length, length), rest = cut(Call.fixed, payload)
    if metadata_length > len(rest):
        raise broken(3, "metadata longer than its frame")
    metadata, fragment = rest[:metadata_length], rest[metadata_length:]
    if not flags & MESSAGE and (length or fragment):
        raise broken(3, "message bytes without the flag")
    begins = length if flags & MESSAGE else None
    return Call(call, method, remaining, kind, lane, metadata, begins, fragment, bool(flags & END))


def decode_msg(flags: int, call: int, payload: bytes) -> Msg:
    end = bool(flags & END)
    if not flags & MESSAGE:
        return Msg(call, None, payload, end)
    (length,), fragment = cut(struct.Struct(">I"), payload)
    return Msg(call, length, fragment, end)


def decode_status(flags: int, call: int, payload: bytes) -> Status:
    fields, rest = cut(Status.fixed, payload)
    code, processed, reserved, text_size, queued, ran, retry_after, metadata_size, details_size, length = fields
    if reserved:
        raise broken(4, "the reserved byte of STATUS")
    if text_size + metadata_size + details_size + length != len(rest) or (length and not flags & MESSAGE):
        raise broken(3, "lengths in STATUS that do not add up")
    if processed > 2:
        raise broken(84, f"processed {processed}")
    if flags & MESSAGE and code:
        raise broken(85, "a message beside an error")
    text, rest = rest[:text_size], rest[text_size:]
    metadata, rest = rest[:metadata_size], rest[metadata_size:]
    details, message = rest[:details_size], rest[details_size:]
    return Status(
        call, code, processed, text, queued, ran, retry_after, metadata, details, message if flags & MESSAGE else None)


def decode_empty(kind):
    def decoder(flags: int, call: int, payload: bytes):
        exact(">", payload)
        return kind(call)
    return decoder


def decode_reason(kind, layout: str):
    def decoder(flags: int, call: int, payload: bytes):
        fields, reason = cut(struct.Struct(layout), payload)
        if len(reason) > MAX_REASON:
            raise broken(3, "a reason of more than 256 bytes")
        return kind(*fields, reason)
    return decoder


DECODERS = {
    0x01: decode_hello,
    0x02: decode_call,
    0x03: decode_msg,
    0x04: decode_empty(End),
    0x05: decode_status,
    0x06: decode_empty(Cancel),
    0x07: lambda flags, call, payload: Credit(call, *exact(">I", payload)),
    0x08: lambda flags, call, payload: Ping(*exact(">8s", payload)),
    0x09: lambda flags, call, payload: Pong(*exact(">8s", payload)),
    0x0A: decode_reason(Drain, ">II"),
    0x0B: lambda flags, call, payload: DrainAck(*exact(">I", payload)),
    0x0C: decode_reason(Goodbye, ">HHI"),
}
