"""A channel to one service, and the calls made on it."""

import asyncio
import random
import time
from collections import deque
from typing import Optional

from wire import events, metadata
from wire.client import ClientConnection
from wire.errors import CallError, Code, Processed
from wire.events import Result
from wire.frames import SERVER_STREAM, UNARY
from wire.limits import Limits, Timers

from .link import Link
from .tls import Credentials

FIRST_BACKOFF, LONGEST_BACKOFF = 0.02, 1.0


class OutgoingCall:
    """One call as its caller sees it. It waits in its channel until a connection has room for it."""

    def __init__(self, channel: "Channel", timeout: Optional[float], entries: tuple = (), **fields):
        self.channel, self.entries, self.fields = channel, entries, fields
        self.id: Optional[int] = None
        self.link: Optional[Link] = None
        self.attempt = 0
        self.responses: asyncio.Queue = asyncio.Queue()  # messages of a stream; None when the call has ended
        loop = asyncio.get_running_loop()
        self.result: asyncio.Future = loop.create_future()
        self.started, self.sent = asyncio.Event(), asyncio.Event()
        self.expires = None if timeout is None else time.monotonic() + timeout
        self.timer: Optional[asyncio.TimerHandle] = None
        self.wait_for_room()

    @property
    def is_over(self) -> bool:
        return self.result.done()

    def wait_for_room(self):
        """Until the call begins, its deadline is kept here; then by the connection."""
        if self.expires is not None:
            left = max(0, self.expires - time.monotonic())
            self.timer = asyncio.get_running_loop().call_later(left, self.give_up, Code.DEADLINE_EXCEEDED)

    def may_go_again(self, result: Result) -> bool:
        """W-83: what no method's code has seen may be sent again, once; here, where the request is at hand."""
        is_refusal = result.code == Code.UNAVAILABLE and result.processed == Processed.NO and not result.retry_after
        return is_refusal and self.attempt == 1 and self.fields["kind"] in (UNARY, SERVER_STREAM)

    def go_again(self):
        self.link = None
        self.started.clear()
        self.sent.clear()
        self.wait_for_room()

    def begin(self, link: Link):
        """Starts the call on a connection that has room."""
        now = time.monotonic()
        timeout = None if self.expires is None else self.expires - now
        self.attempt += 1
        entries = [(metadata.ATTEMPT, self.attempt.to_bytes(4, "big")), *self.entries]
        try:
            self.id = link.connection.call(now=now, timeout=timeout, entries=entries, **self.fields)
        except CallError as error:
            return self.end(Result(error.code, str(error), Processed.NO))
        if self.timer:
            self.timer.cancel()
        self.link = link
        link.calls[self.id] = self
        self.started.set()
        if not link.connection.calls[self.id].outbound.queue:
            self.sent.set()
        link.wake()

    async def send(self, message: bytes) -> bool:
        """One message of the client's stream, when the one before it is on its way; False when the call is over."""
        await self.first(self.started)
        if self.is_over:
            return False
        self.sent.clear()
        if not self.link.connection.request(self.id, message):
            return False
        self.link.wake()
        await self.first(self.sent)
        return self.sent.is_set()

    async def end_requests(self):
        await self.first(self.started)
        if not self.is_over:
            self.link.connection.end_requests(self.id)
            self.link.wake()

    async def read(self) -> Optional[bytes]:
        """The next message of the server's stream; None when the call has ended."""
        message = await self.responses.get()
        if message is None:
            self.responses.put_nowait(None)
        elif not self.link.ended.is_set():
            self.link.connection.taken(self.id)
            self.link.wake()
        return message

    def cancel(self):
        self.give_up(Code.CANCELLED)

    def give_up(self, code: Code):
        if self.is_over:
            return
        if self.link is None:
            return self.end(Result(code, "The call was given up before it began.", Processed.NO))
        self.link.connection.cancel(self.id)
        self.link.flush()

    def end(self, result: Result):
        if not self.result.done():
            self.result.set_result(result)
            self.responses.put_nowait(None)
        if self.timer:
            self.timer.cancel()

    async def first(self, event: asyncio.Event):
        """Waits for an event, or for the call's end."""
        wait = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait([wait, self.result], return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()


class Channel:
    """One connection at a time to each endpoint; calls wait for one that has room."""

    def __init__(
        self, endpoints: list, service: str, credentials: Credentials, limits: Limits = Limits(),
        timers: Timers = Timers(),
    ):
        self.endpoints, self.service, self.credentials = endpoints, service, credentials
        self.limits, self.timers = limits, timers
        self.waiting: deque = deque()
        self.links: dict = {}  # endpoint -> its link, as long as calls may start there
        self.old: set = set()  # links whose last calls are ending
        self.connecting: dict = {}  # endpoint -> task
        self.is_closed = False
        self.context, self.believed = credentials.client(), credentials.believed()

    def reload(self):
        """Takes the credentials as they are in their files now; connections end when an authority is gone (W-108)."""
        self.context = self.credentials.client()
        before, self.believed = self.believed, self.credentials.believed()
        if before - self.believed:
            for link in list(self.links.values()):
                self.retire(link)
                self.old.add(link)
                link.connection.leave()
                link.wake()

    def call(self, timeout: Optional[float], fail_fast: bool = False, **fields) -> OutgoingCall:
        call = OutgoingCall(self, timeout, **fields)
        if self.is_closed:
            call.end(Result(Code.UNAVAILABLE, "The channel is closed.", Processed.NO))
            return call
        call.fail_fast = fail_fast
        self.waiting.append(call)
        self.pump()
        return call

    def pump(self):
        """Starts what waits where there is room, and connects where calls wait without."""
        for link in self.links.values():
            while link.connection and link.connection.has_room and self.waiting:
                call = self.waiting.popleft()
                if not call.is_over:
                    call.begin(link)
        if not self.waiting or self.is_closed:
            return
        for endpoint in self.endpoints:
            if endpoint not in self.links and endpoint not in self.connecting:
                self.connecting[endpoint] = asyncio.ensure_future(self.connect(endpoint))

    async def connect(self, endpoint: tuple):
        backoff = FIRST_BACKOFF
        while not self.is_closed:
            try:
                self.links[endpoint] = await self.link(endpoint)
                break
            except Exception as error:  # No connection, a bad certificate, no handshake: all of it may pass.
                self.fail_impatient(f"{type(error).__name__}: {error}")
            if not any(not call.is_over for call in self.waiting):
                break
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            backoff = min(2 * backoff, LONGEST_BACKOFF)
        self.connecting.pop(endpoint, None)
        self.pump()

    async def link(self, endpoint: tuple) -> Link:
        _, link = await asyncio.get_running_loop().create_connection(
            self.make_link, *endpoint, ssl=self.context, server_hostname="lockstep.local",
            ssl_handshake_timeout=self.timers.handshake, ssl_shutdown_timeout=1.0)
        await link.opened
        return link

    def make_link(self) -> Link:
        link = Link(self.connection, self.hear, self.service)
        link.calls = {}
        return link

    def connection(self) -> ClientConnection:
        return ClientConnection(self.limits, self.timers, time.monotonic())

    def fail_impatient(self, text: str):
        for call in [call for call in self.waiting if call.fail_fast]:
            self.waiting.remove(call)
            call.end(Result(Code.UNAVAILABLE, f"There is no connection: {text}", Processed.NO))

    async def close(self, grace: float = 0):
        """Ends the channel; calls under way may finish for `grace` seconds."""
        self.is_closed = True
        links = [*self.links.values(), *self.old]
        for task in self.connecting.values():
            task.cancel()
        while self.waiting:
            self.waiting.popleft().end(Result(Code.UNAVAILABLE, "The channel is closed.", Processed.NO))
        for link in links:
            link.connection.leave()
            link.wake()
        if links:
            waits = [asyncio.ensure_future(link.ended.wait()) for link in links]
            await asyncio.wait(waits, timeout=grace or 0.01)
            for wait in waits:
                wait.cancel()
        for link in links:
            link.close()

    # ---- Events ------------------------------------------------------------------------------------------------------

    def hear(self, link: Link, event):
        if isinstance(event, events.Closed):
            self.old.discard(link)
            self.retire(link)
            self.fail_impatient(event.reason or event.code.name)
        elif isinstance(event, events.Draining):
            self.retire(link)
            self.old.add(link)
            link.connection.leave()
        elif isinstance(event, events.Finished):
            call = link.calls.pop(event.call, None)
            if call and not self.is_closed and call.may_go_again(event.result):
                call.go_again()
                self.waiting.append(call)
                asyncio.get_running_loop().call_soon(self.pump)
            elif call:
                call.end(event.result)
        elif isinstance(event, events.MessageArrived) and event.call in link.calls:
            link.calls[event.call].responses.put_nowait(event.message)
        elif isinstance(event, events.Sent) and event.call in link.calls:
            link.calls[event.call].sent.set()
        if isinstance(event, (events.Opened, events.RoomForCalls, events.Closed, events.Draining)):
            asyncio.get_running_loop().call_soon(self.pump)

    def retire(self, link: Link):
        for endpoint, known in list(self.links.items()):
            if known is link:
                del self.links[endpoint]
