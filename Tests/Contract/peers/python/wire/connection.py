"""What both roles of a connection share: frames in and out, HELLO, credit, keepalive, floods, the end."""

import heapq
from collections import deque
from dataclasses import asdict
from typing import Optional

from . import decoding, frames
from .errors import CallError, Close, WireError, broken
from .events import Closed, Opened, Sent
from .flow import Book, FloodCounter, Window
from .limits import BOUNDS, MAX_CREDIT, SMALL_CREDIT, SMALL_FRAGMENT, Limits, Timers

BURST = 262_144


class Connection:
    """One connection without its socket.

    `receive` takes bytes, `tick` the time; both fill `events`. `output` gives the bytes to send. Times are seconds of
    any monotonic clock.
    """

    role: str
    peer_role: str

    def __init__(self, limits: Limits, timers: Timers, now: float, fingerprints: tuple = ()):
        self.limits, self.timers = limits, timers
        self.fingerprints = list(fingerprints)
        self.events: list = []
        self.peer: Optional[frames.Hello] = None
        self.closed: Optional[Closed] = None
        self.calls: dict = {}
        self.highest = 0
        self.buffer = bytearray()
        self.control = bytearray()
        self.turns: deque = deque()  # ids of calls that have something to send
        self.window = Window(limits.connection_credit)
        self.book = Book(limits.max_reassembly)
        self.send_credit = 0
        self.handshake_ends: Optional[float] = now + timers.handshake
        self.frame_began: Optional[float] = None
        self.heard = now
        self.ping: Optional[tuple] = None  # (value, when it was sent)
        self.last_ping = float("-inf")
        self.ping_count = 0
        self.reading = True
        self.alarms: list = []  # (time, call)
        self.floods = {
            rule: FloodCounter(rule, allowed)
            for rule, allowed in {122: 20_000, 123: 1_000, 124: 1_000, 125: 20_000, 126: 1_000, 127: 1_000}.items()
        }
        self.floods[121] = FloodCounter(121, 20, limits.min_ping_interval / 100)

    # ---- Bytes and time ----------------------------------------------------------------------------------------

    def start(self):
        """Sends HELLO."""
        fields = {key: value for key, value in asdict(self.limits).items() if key != "max_reassembly"}
        fields["max_concurrent_calls"] = self.announced_calls
        self.send(frames.Hello(**fields, fingerprints=self.fingerprints))

    def receive(self, data: bytes, now: float):
        if self.closed:
            return
        self.heard = now
        self.buffer += data
        try:
            while not self.closed and self.read_frame(now):
                pass
        except WireError as error:
            self.fail(error)

    def read_frame(self, now: float) -> bool:
        """Takes one frame out of the buffer; whether a whole one was there."""
        if not self.buffer:
            self.frame_began = None
            return False
        if self.frame_began is None:
            self.frame_began = now
        if len(self.buffer) < frames.HEADER.size:
            return False
        header = frames.HEADER.unpack_from(self.buffer)
        decoding.check_header(header[0], header[1], self.limits.max_frame_size, self.peer is None)
        end = frames.HEADER.size + header[0]
        if len(self.buffer) < end:
            return False
        payload = bytes(self.buffer[frames.HEADER.size:end])
        del self.buffer[:end]
        self.frame_began = None
        self.take(decoding.decode(header, payload, self.peer_role), now)
        return True

    def tick(self, now: float):
        """Lets time pass."""
        if self.closed:
            return
        try:
            self.check_timers(now)
            while self.alarms and self.alarms[0][0] <= now and not self.closed:
                self.alarm(heapq.heappop(self.alarms)[1], now)
        except WireError as error:
            self.fail(error)

    def check_timers(self, now: float):
        if self.peer is None and now >= self.handshake_ends:
            raise WireError(Close.TIMEOUT, 130, "no HELLO in time")
        if not self.reading:
            # The silence is our own (W-133).
            return
        if self.frame_began is not None and now >= self.frame_began + self.timers.frame:
            raise WireError(Close.TIMEOUT, 131, "a frame that does not end")
        if self.peer is None:
            return
        if self.ping and now >= max(self.ping[1], self.heard) + self.timers.keepalive_timeout:
            raise WireError(Close.TIMEOUT, 92, "nothing heard")
        if not self.ping and now >= self.next_ping():
            self.ping_count += 1
            self.ping = (self.ping_count.to_bytes(8, "big"), now)
            self.last_ping = now
            self.send(frames.Ping(self.ping[0]))

    def next_ping(self) -> float:
        least = self.peer.min_ping_interval / 1000
        return max(self.heard + max(self.timers.keepalive_interval, least), self.last_ping + least)

    def next_time(self) -> Optional[float]:
        """When `tick` has something to do."""
        if self.closed:
            return None
        times = [self.alarms[0][0]] if self.alarms else []
        if self.peer is None:
            times.append(self.handshake_ends)
        if self.reading and self.frame_began is not None:
            times.append(self.frame_began + self.timers.frame)
        if self.reading and self.peer is not None:
            times.append(
                max(self.ping[1], self.heard) + self.timers.keepalive_timeout if self.ping else self.next_ping())
        return min(times, default=None)

    def output(self, limit: int = BURST) -> bytes:
        """Bytes to send now, `limit` or a frame more."""
        out = self.control[:limit]
        del self.control[:limit]
        while not self.control and len(out) < limit and not self.closed:
            fragment = self.next_fragment()
            if not fragment:
                break
            out += fragment + self.control
            self.control.clear()
        return bytes(out)

    def next_fragment(self) -> bytes:
        """The fragment whose turn it is (W-47)."""
        for _ in range(len(self.turns)):
            id = self.turns.popleft()
            call = self.calls.get(id)
            if not call or not call.outbound.queue:
                continue
            self.turns.append(id)
            msg = call.outbound.next(self.peer.max_frame_size, self.send_credit)
            if msg:
                self.send_credit -= len(msg.fragment)
                if not call.outbound.queue:
                    self.turns.pop()
                    self.events.append(Sent(id))
                    self.all_sent(call)
                return msg.encode()
        return b""

    @property
    def has_output(self) -> bool:
        return bool(self.control or self.turns)

    def send(self, frame):
        if not self.closed:
            self.control += frame.encode()

    def enqueue(self, call, message: bytes, sent: int = 0):
        call.outbound.offer(message, sent)
        if call.id not in self.turns:
            self.turns.append(call.id)

    # ---- Frames ------------------------------------------------------------------------------------------------

    def take(self, frame, now: float):
        if self.peer is None:
            return self.take_hello(frame)
        if isinstance(frame, frames.Hello):
            raise broken(13, "a second HELLO")
        if isinstance(frame, frames.Skipped):
            self.floods[126].add(now)
        elif isinstance(frame, frames.Ping):
            self.floods[121].add(now)
            self.send(frames.Pong(frame.value))
        elif isinstance(frame, frames.Pong):
            self.take_pong(frame)
        elif isinstance(frame, frames.Goodbye):
            self.end(Closed(Close(frame.code), frame.rule, frame.reason.decode(errors="replace")), frame.last_call)
        elif isinstance(frame, frames.Credit):
            self.take_credit(frame, now)
        elif isinstance(frame, frames.Msg):
            self.take_msg_bytes(frame)
            self.take_msg(frame, now)
        else:
            self.take_other(frame, now)

    def take_hello(self, hello: frames.Hello):
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(hello, name) <= high:
                raise broken(14, f"{name} out of bounds")
        if hello.connection_credit < hello.call_credit or not self.accepts_calls(hello.max_concurrent_calls):
            raise broken(14, "limits out of bounds")
        self.peer = hello
        self.send_credit = hello.connection_credit
        self.events.append(Opened(hello))

    def take_pong(self, pong: frames.Pong):
        if not self.ping or self.ping[0] != pong.value:
            raise broken(91, "a PONG that answers nothing")
        self.ping = None

    def take_credit(self, credit: frames.Credit, now: float):
        if credit.bytes == 0:
            raise WireError(Close.FLOW_CONTROL, 52, "credit of 0")
        if credit.bytes < SMALL_CREDIT:
            self.floods[123].add(now)
        if credit.call:
            return self.take_call_credit(credit, now)
        if self.send_credit + credit.bytes > MAX_CREDIT:
            raise WireError(Close.FLOW_CONTROL, 51, "credit above 2^31 - 1")
        self.send_credit += credit.bytes

    def take_msg_bytes(self, msg: frames.Msg):
        """What holds for every MSG, also a late one: no empty fragments, and the connection's credit."""
        if not msg.fragment and msg.length != 0:
            raise broken(42, "a MSG without message bytes")
        back = self.window.spend(len(msg.fragment))
        if back:
            self.send(frames.Credit(0, back))

    def collect(self, call, msg: frames.Msg, now: float) -> Optional[bytes]:
        """The message that this makes whole. Raises CallError where it is too much, with its bytes being dropped."""
        inbound, refusal = call.inbound, None
        if (msg.length is not None) != (inbound.declared is None):
            raise broken(46, "a message within another, or a fragment of none")
        if msg.length is not None:
            try:
                inbound.begin(msg.length, len(msg.fragment), paid=True)
            except CallError as error:
                inbound.drop()
                refusal = error
        message = inbound.add(msg.fragment, paid=True)
        if inbound.missing and len(msg.fragment) < SMALL_FRAGMENT:
            self.floods[124].add(now)
        if refusal:
            raise refusal
        return message

    def give_back(self, call):
        for count in call.inbound.credit_due():
            self.send(frames.Credit(call.id, count))

    def taken(self, id: int):
        """The application has taken a message of this call's stream."""
        call = self.calls.get(id)
        if call and not self.closed:
            call.inbound.taken()
            self.give_back(call)

    # ---- The end -----------------------------------------------------------------------------------------------

    def fail(self, error: WireError):
        """Says GOODBYE for a broken rule."""
        self.say_goodbye(error.code, error.rule, error.reason)

    def say_goodbye(self, code: Close = Close.NONE, rule: int = 0, reason: str = ""):
        if self.closed:
            return
        self.send(frames.Goodbye(code, rule, self.last_taken, reason.encode()[:256]))
        self.end(Closed(code, rule, reason))

    def transport_ended(self):
        self.end(Closed(Close.NONE, 0, "the transport ended"))

    def end(self, closed: Closed, last_call: Optional[int] = None):
        if self.closed:
            return
        self.closed = closed
        self.finish_calls(last_call)
        self.calls.clear()
        self.turns.clear()
        self.events.append(closed)

    def take_events(self) -> list:
        events, self.events = self.events, []
        return events
