"""Credit, floods and the two halves of a call's messages (WIRE.md, sections 6 and 12)."""

from collections import deque
from typing import Optional

from .errors import CallError, Close, Code, WireError, broken
from .frames import Msg
from .limits import MAX_CREDIT, MESSAGE_COST, SMALL_CREDIT, SMALL_FRAGMENT


class FloodCounter:
    """Frames of one sort in fixed windows of time (W-120)."""

    def __init__(self, rule: int, allowed: int, window: float = 10.0):
        self.rule, self.allowed, self.window = rule, allowed, window
        self.count, self.ends = 0, float("-inf")

    def add(self, now: float):
        if now >= self.ends:
            self.count, self.ends = 0, now + self.window
        self.count += 1
        if self.count > self.allowed:
            raise WireError(Close.FLOOD, self.rule, f"more than {self.allowed} in {self.window:g} s")


class Window:
    """What the peer may still send on the whole connection."""

    def __init__(self, size: int):
        self.size = self.left = size

    def spend(self, count: int) -> int:
        """Takes bytes in. They leave our hands at once, so half a window of them is given back (W-54)."""
        if count > self.left:
            raise WireError(Close.FLOW_CONTROL, 50, "beyond the connection's credit")
        self.left -= count
        spent = self.size - self.left
        if 2 * spent < self.size:
            return 0
        self.left = self.size
        return spent


class Book:
    """The sum of the lengths of messages that are being collected (W-44)."""

    def __init__(self, capacity: int):
        self.capacity, self.sum = capacity, 0

    def add(self, length: int):
        if self.sum + length > self.capacity:
            raise CallError(Code.RESOURCE_EXHAUSTED, 44, "Too much is being received at once.")
        self.sum += length


class Inbound:
    """One direction of a call as its receiver sees it: fragments become messages, and credit goes back."""

    def __init__(self, book: Book, single: bool, limit: int, window: int):
        self.book, self.single, self.limit, self.window = book, single, limit, window
        self.left = window
        self.held = 0  # the cost of what has come and was not taken
        self.waiting = deque()  # (cost, booked) of whole messages that the application has not taken
        self.declared: Optional[int] = None
        self.parts = bytearray()
        self.got = self.cost = self.booked = self.count = 0
        self.dropping = self.ended = False

    @property
    def missing(self) -> int:
        return 0 if self.declared is None else self.declared - self.got

    def begin(self, length: int, fragment: int, paid: bool):
        """A message of `length` begins with a fragment of so many bytes. In CALL nothing is paid for."""
        self.declared, self.got, self.cost, self.booked = length, 0, 0, 0
        self.parts.clear()
        if paid and not self.single:
            self.pay(MESSAGE_COST)
        if self.dropping:
            return
        if length > self.limit:
            raise CallError(Code.RESOURCE_EXHAUSTED, 40, f"A message of more than {self.limit} bytes.")
        if fragment < length if self.single else length > self.window:
            self.book.add(length)
            self.booked = length

    def add(self, fragment: bytes, paid: bool) -> Optional[bytes]:
        """The message, when this makes it whole. Nothing while messages are dropped."""
        if len(fragment) > self.missing:
            raise broken(41, "more bytes than declared")
        if paid:
            self.pay(len(fragment))
        self.got += len(fragment)
        if not self.dropping:
            self.parts += fragment
        return None if self.missing else self.whole()

    def whole(self) -> Optional[bytes]:
        self.declared = None
        self.count += 1
        if self.single:
            self.book.sum -= self.booked
            self.booked = 0
        if self.dropping:
            return None
        if not self.single:
            self.waiting.append((self.cost, self.booked))
            self.booked = 0
        return bytes(self.parts)

    def pay(self, cost: int):
        if cost > self.left:
            raise WireError(Close.FLOW_CONTROL, 50, "beyond a call's credit")
        self.left -= cost
        self.cost += cost
        if not self.single and not self.dropping:
            self.held += cost

    def taken(self):
        """The application has taken the oldest message."""
        if self.waiting:
            cost, booked = self.waiting.popleft()
            self.held -= cost
            self.book.sum -= booked

    def drop(self):
        """Nobody takes anything any more: what is here is given up, and so is what comes."""
        self.dropping, self.held = True, 0
        self.parts.clear()
        self.book.sum -= self.booked + sum(booked for _, booked in self.waiting)
        self.booked = 0
        self.waiting.clear()

    def credit_due(self) -> list:
        """What to give back now (W-54)."""
        if self.ended:
            return []
        return self.single_due() if self.single else self.stream_due()

    def single_due(self) -> list:
        spent = self.window - self.left
        if self.missing <= self.left or 2 * spent < self.window:
            return []
        self.left = self.window
        return [spent]

    def stream_due(self) -> list:
        due = []
        returnable = self.window - self.left - self.held
        if 2 * returnable >= self.window:
            due.append(returnable)
            self.left += returnable
        short = self.missing - self.left
        if short > 0 and not self.waiting:
            due.append(max(short, SMALL_CREDIT))
            self.left += due[-1]
        return due


class Outbound:
    """One direction of a call as its sender sees it: messages become fragments as credit allows."""

    def __init__(self, call: int, single: bool, credit: int, can_end: bool):
        self.call, self.single, self.credit, self.can_end = call, single, credit, can_end
        self.queue = deque()
        self.offset = 0  # of the first message of the queue
        self.started = False
        self.end_wanted = self.end_sent = False

    def offer(self, message: bytes, sent: int = 0):
        """`sent` bytes of it went out in CALL."""
        if sent:
            self.offset, self.started = sent, True
        self.queue.append(memoryview(message))

    def clear(self) -> bool:
        """Drops what waits; whether that was anything."""
        lost = bool(self.queue)
        self.queue.clear()
        return lost

    def grow(self, count: int):
        if self.credit + count > MAX_CREDIT:
            raise WireError(Close.FLOW_CONTROL, 51, "credit above 2^31 - 1")
        self.credit += count

    def next(self, room: int, connection_credit: int) -> Optional[Msg]:
        """The next fragment, if credit and a frame with `room` for payload allow one that is not small."""
        if not self.queue:
            return None
        message = self.queue[0]
        missing = len(message) - self.offset
        fixed, cost = (0, 0) if self.started else (4, 0 if self.single else MESSAGE_COST)
        size = min(missing, room - fixed, self.credit - cost, connection_credit)
        if size < 0 or (size < missing and size < SMALL_FRAGMENT):
            return None
        fragment = bytes(message[self.offset:self.offset + size])
        length = None if self.started else len(message)
        self.credit -= size + cost
        self.advance(size)
        return Msg(self.call, length, fragment, self.ends_here())

    def advance(self, size: int):
        self.offset, self.started = self.offset + size, True
        if self.offset == len(self.queue[0]):
            self.queue.popleft()
            self.offset, self.started = 0, False

    def ends_here(self) -> bool:
        """Whether END rides on the frame that was just made."""
        if self.queue or not self.end_wanted or not self.can_end or self.end_sent:
            return False
        self.end_sent = True
        return True
