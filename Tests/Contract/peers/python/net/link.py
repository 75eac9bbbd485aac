"""One connection: a state machine of `wire`, fed by asyncio."""

import asyncio
import time
from typing import Callable, Optional

from wire.connection import BURST, Connection
from wire.errors import Close, WireError
from wire.limits import HIGH_WATER

from .tls import NotAPeer, peer_name


class Link(asyncio.Protocol):
    """Carries bytes, time and events between a `Connection`, its transport and whoever listens.

    `make` builds the state machine when the handshake is over; `hear` gets each event.
    """

    def __init__(self, make: Callable[[], Connection], hear: Callable[["Link", object], None], expected: str = ""):
        self.make, self.hear, self.expected = make, hear, expected
        self.connection: Optional[Connection] = None
        self.transport: Optional[asyncio.Transport] = None
        self.peer = ""
        self.loop = asyncio.get_running_loop()
        self.opened = self.loop.create_future()  # when the handshake is over: whether it is the right peer
        self.ended = asyncio.Event()
        self.timer: Optional[asyncio.TimerHandle] = None
        self.paused_with: Optional[int] = None
        self.write_timer: Optional[asyncio.TimerHandle] = None
        self.is_scheduled = False

    # ---- What the transport says -----------------------------------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=BURST)
        try:
            self.peer = peer_name(transport.get_extra_info("ssl_object"))
            if self.expected and self.peer != self.expected:
                raise NotAPeer(f"this is {self.peer}, not {self.expected}")
        except NotAPeer as error:
            self.opened.set_exception(error)
            self.opened.exception()  # It may be that nobody waits.
            return transport.abort()
        self.connection = self.make()
        self.connection.start()
        self.opened.set_result(None)
        self.flush()

    def data_received(self, data: bytes):
        if self.connection:
            self.connection.receive(data, time.monotonic())
            self.flush()

    def connection_lost(self, error):
        for timer in (self.timer, self.write_timer):
            if timer:
                timer.cancel()
        if self.connection:
            self.connection.transport_ended()
            self.deliver()
        self.ended.set()

    def pause_writing(self):
        self.watch_writing()

    def resume_writing(self):
        self.paused_with = None
        self.write_timer.cancel()
        self.flush()

    def watch_writing(self):
        """W-132: while nothing at all is taken, the time runs."""
        size = self.transport.get_write_buffer_size()
        if self.paused_with is not None and size >= self.paused_with:
            self.connection.fail(WireError(Close.TIMEOUT, 132, "nothing is taken"))
            self.deliver()
            return self.transport.abort()
        self.paused_with = size
        self.write_timer = self.loop.call_later(self.connection.timers.write, self.watch_writing)

    # ---- What others want --------------------------------------------------------------------------------------------

    def wake(self):
        """Sends soon what the state machine has to send; with what else is wanted in this turn of the loop."""
        if not self.is_scheduled and not self.ended.is_set():
            self.is_scheduled = True
            self.loop.call_soon(self.flush)

    def flush(self):
        self.is_scheduled = False
        if self.ended.is_set() or not self.connection:
            return
        self.deliver()
        while self.paused_with is None and not self.transport.is_closing():
            data = self.connection.output()
            if not data:
                break
            self.transport.write(data)
        self.deliver()
        self.bound_reading()
        if self.connection.closed and self.paused_with is None:
            self.transport.close()
        self.arm()

    def deliver(self):
        for event in self.connection.take_events():
            self.hear(self, event)

    def bound_reading(self):
        """W-133: who does not read our answers is not read."""
        waiting = len(self.connection.control) + self.transport.get_write_buffer_size()
        wants = self.connection.role == "client" or waiting <= HIGH_WATER
        if wants == self.connection.reading:
            return
        self.connection.reading = wants
        self.transport.resume_reading() if wants else self.transport.pause_reading()

    def arm(self):
        if self.timer:
            self.timer.cancel()
        at = self.connection.next_time()
        self.timer = self.loop.call_later(max(0, at - time.monotonic()), self.tick) if at is not None else None

    def tick(self):
        self.connection.tick(time.monotonic())
        self.flush()

    def close(self):
        """Ends the connection at once."""
        if self.connection:
            self.connection.say_goodbye()
            self.flush()
        if self.transport:
            self.transport.close()
