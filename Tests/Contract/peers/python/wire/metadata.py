"""Blocks of metadata (WIRE.md, section 7)."""

import re
import struct

from .errors import CallError, Code
from .limits import MAX_ENTRIES, MAX_KEY

USER_TOKEN, REQUEST_ID, TRACE_PARENT, ATTEMPT, CLIENT_ADDRESS, USER_AGENT = range(1, 7)
TEXTS = {REQUEST_ID, TRACE_PARENT, CLIENT_ADDRESS, USER_AGENT}
KEY = re.compile(rb"[a-z0-9-]{1,%d}" % MAX_KEY)


def encode(entries: list) -> bytes:
    """From pairs of a number or a text key, and the value's bytes."""
    block = b""
    for key, value in entries:
        if isinstance(key, str):
            block += bytes([0, len(key)]) + key.encode()
        else:
            block += bytes([key])
        block += struct.pack(">H", len(value)) + value
    return block


def decode(block: bytes, max_size: int) -> list:
    """Pairs as for `encode`, unknown numbers left out. Raises CallError."""
    if len(block) > max_size:
        raise CallError(Code.RESOURCE_EXHAUSTED, 60, f"Metadata of more than {max_size} bytes.")
    entries, seen, count, at = [], set(), 0, 0
    while at < len(block):
        count += 1
        if count > MAX_ENTRIES:
            raise CallError(Code.RESOURCE_EXHAUSTED, 62, f"More than {MAX_ENTRIES} entries of metadata.")
        key, value, at = entry(block, at)
        if isinstance(key, int):
            if key > USER_AGENT:
                continue
            if key in seen:
                raise CallError(Code.INVALID_ARGUMENT, 64, f"Metadata {key} twice.")
            seen.add(key)
            check(key, value)
        entries.append((key, value))
    return entries


def entry(block: bytes, at: int) -> tuple:
    """The key and value that begin at `at`, and where they end."""
    key, at = block[at], at + 1
    if key == 0:
        text, at = piece(block, at, 1)
        if not KEY.fullmatch(text):
            raise CallError(Code.INVALID_ARGUMENT, 63, "A key of metadata that is not 1 to 64 of a-z 0-9 -.")
        key = text.decode()
    value, at = piece(block, at, 2)
    return key, value, at


def piece(block: bytes, at: int, width: int) -> tuple:
    """Bytes behind their length."""
    start = at + width
    end = start + int.from_bytes(block[at:start], "big")
    if start > len(block) or end > len(block):
        raise CallError(Code.INVALID_ARGUMENT, 61, "Metadata cut short.")
    return block[start:end], end


def check(number: int, value: bytes):
    bad = CallError(Code.INVALID_ARGUMENT, 65, f"Metadata {number} is not what it should be.")
    if number == USER_TOKEN and len(value) > 4_096 or number == ATTEMPT and len(value) != 4:
        raise bad
    if number == ATTEMPT and value == bytes(4):
        raise bad
    if number in TEXTS:
        if len(value) > 512:
            raise bad
        try:
            value.decode()
        except UnicodeDecodeError:
            raise bad from None
