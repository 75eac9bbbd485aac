"""A listener and the calls that come to it."""

import asyncio
import socket
import time
from typing import Awaitable, Callable, Optional

from wire import events, frames, metadata
from wire.errors import Code, Processed
from wire.limits import Limits, Timers
from wire.server import MethodRules, ServerConnection

from .link import Link
from .tls import Credentials


class Failure(Exception):
    """How a handler says that its call ends otherwise than well."""

    def __init__(
        self, code: Code, text: str = "", details: bytes = b"", retry_after: int = 0,
        processed: Processed = Processed.YES,
    ):
        super().__init__(text)
        self.status = frames.Status(0, code, processed, text.encode(), details=details, retry_after=retry_after)


class Stopped(Failure):
    """The handler was told to stop."""

    def __init__(self):
        super().__init__(Code.CANCELLED, "The call was given up.")


class IncomingCall:
    """One call as its handler sees it."""

    def __init__(self, link: Link, started: events.CallStarted):
        self.link, self.started = link, started
        self.id, self.method, self.kind = started.call, started.method, started.kind
        self.peer = link.peer
        self.trailers: list = []  # metadata of STATUS
        self.began = time.monotonic()
        self.requests: asyncio.Queue = asyncio.Queue()  # bytes; None is the end
        self.stopped = asyncio.Event()
        self.sent = asyncio.Event()

    @property
    def metadata(self) -> list:
        return self.started.metadata

    @property
    def remaining(self) -> Optional[float]:
        """Seconds."""
        return None if self.started.expires is None else max(0.0, self.started.expires - time.monotonic())

    async def read(self) -> Optional[bytes]:
        """The next message of the client's stream; None behind its last. Raises Stopped."""
        message = await self.unless_stopped(self.requests.get())
        if message is not None:
            self.link.connection.taken(self.id)
            self.link.wake()
        return message

    async def send(self, message: bytes):
        """One message of this side's stream; returns when it is on its way. Raises Stopped."""
        self.sent.clear()
        if not self.link.connection.respond(self.id, message):
            raise Stopped()
        self.link.wake()
        await self.unless_stopped(self.sent.wait())

    async def pause(self, seconds: float):
        """Raises Stopped."""
        await self.unless_stopped(asyncio.sleep(seconds))

    async def unless_stopped(self, work: Awaitable):
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.stopped.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self.stopped.is_set():
                raise Stopped()
            return tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()


Handler = Callable[[IncomingCall], Awaitable[Optional[bytes]]]


class Server:
    """Listens on a free port of this machine, and runs `handler` for each call."""

    def __init__(
        self, handler: Handler, rules: Callable[[int], Optional[MethodRules]], credentials: Credentials,
        limits: Limits = Limits(), timers: Timers = Timers(),
    ):
        self.handler, self.rules, self.credentials = handler, rules, credentials
        self.limits, self.timers = limits, timers
        self.links: set = set()
        self.calls: dict = {}
        self.tasks: set = set()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener: Optional[asyncio.Server] = None
        self.grace: Optional[float] = None
        self.believed = credentials.believed()

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    async def listen(self):
        """Takes connections, with the credentials as they are in their files now."""
        before, context = self.listener, self.credentials.server()
        self.listener = await asyncio.get_running_loop().create_server(
            self.link, sock=self.socket.dup(), ssl=context, ssl_handshake_timeout=self.timers.handshake,
            ssl_shutdown_timeout=1.0)
        if before:
            before.close()

    async def reload(self):
        """Takes the credentials as they are in their files now.

        Whom an authority has vouched for is not remembered: when one is gone, all connections are drained (W-108).
        """
        await self.listen()
        before, self.believed = self.believed, self.credentials.believed()
        if before - self.believed:
            for link in list(self.links):
                link.connection.drain(time.monotonic(), "certificates are replaced")
                link.wake()

    def link(self) -> Link:
        return Link(self.connection, self.hear)

    def connection(self) -> ServerConnection:
        return ServerConnection(self.limits, self.timers, time.monotonic(), rules=self.rules)

    async def drain(self, grace: float):
        """Returns when all connections and handlers have ended."""
        self.grace = grace
        self.listener.close()
        self.socket.close()
        for link in list(self.links):
            link.connection.drain(time.monotonic(), "the server drains", grace)
            link.wake()
        while self.links or self.tasks:
            waits = [asyncio.ensure_future(link.ended.wait()) for link in self.links]
            await asyncio.wait(waits + list(self.tasks))

    def close(self):
        if self.listener:
            self.listener.close()
        for link in list(self.links):
            link.close()

    # ---- Events ------------------------------------------------------------------------------------------------------

    def hear(self, link: Link, event):
        if isinstance(event, events.Opened):
            self.links.add(link)
            if self.grace is not None:
                link.connection.drain(time.monotonic(), "the server drains", self.grace)
        elif isinstance(event, events.Closed):
            self.links.discard(link)
        elif isinstance(event, events.CallStarted):
            self.start(IncomingCall(link, event))
        else:
            self.tell(self.calls.get((link, event.call)), event)

    def tell(self, call: Optional[IncomingCall], event):
        if call is None:
            return
        if isinstance(event, events.MessageArrived):
            call.requests.put_nowait(event.message)
        elif isinstance(event, events.RequestsEnded):
            call.requests.put_nowait(None)
        elif isinstance(event, events.StopRequested):
            call.stopped.set()
        elif isinstance(event, events.Sent):
            call.sent.set()

    def start(self, call: IncomingCall):
        self.calls[call.link, call.id] = call
        task = asyncio.ensure_future(self.run(call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self, call: IncomingCall):
        try:
            message = await self.handler(call)
            status = frames.Status(call.id, Code.OK, Processed.YES, message=message)
        except Failure as failure:
            status = failure.status
        except Exception:
            # What went wrong is nobody's business but ours.
            status = frames.Status(call.id, Code.INTERNAL, Processed.YES, b"The server failed.")
        del self.calls[call.link, call.id]
        status.metadata = metadata.encode(call.trailers)
        call.link.connection.finish(call.id, status, time.monotonic())
        call.link.wake()
