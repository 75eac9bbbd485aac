"""The service whose requests say how to answer them (PROTOCOL.md, "As a server")."""

import asyncio
import time
from collections import defaultdict
from typing import Optional

from google.protobuf.message import DecodeError

from net.client import Channel
from net.server import Failure, IncomingCall, Stopped
from net.tls import Credentials
from wire import metadata
from wire.errors import Code, Processed
from wire.frames import BIDI, CLIENT_STREAM, SERVER_STREAM, UNARY

from .messages import PACE, ErrorDetails, Plan, Request, Response, Seen, Tally
from .methods import BY_ID, METHODS, payload

LONGEST_HANG = 60.0


class Counters:
    """What has happened to calls, by the tag of their plans."""

    def __init__(self):
        self.tallies = defaultdict(Tally)

    def begin(self, tag: str) -> Tally:
        tally = self.tallies[tag]
        tally.started += 1
        tally.running += 1
        tally.peak = max(tally.peak, tally.running)
        return tally


class Service:
    def __init__(self, credentials: Credentials):
        self.credentials = credentials
        self.counters = Counters()

    async def handle(self, call: IncomingCall) -> Optional[bytes]:
        method = BY_ID.get(call.method)
        if not method or call.peer not in method.callers:
            raise Failure(Code.PERMISSION_DENIED, "The caller may not call this.", processed=Processed.NO)
        if method.kind != call.kind:
            raise Failure(Code.INVALID_ARGUMENT, "The method is of another kind.", processed=Processed.NO)
        return await Answer(self, call).run()


class Answer:
    """One call, answered as its first request says."""

    def __init__(self, service: Service, call: IncomingCall):
        self.service, self.call = service, call
        self.plan = Plan()
        self.tally: Optional[Tally] = None
        self.payloads: list = []  # of the requests that were read
        self.sent = 0
        self.next_seen: Optional[Seen] = None
        self.has_ended = False

    @property
    def streams(self) -> bool:
        return self.call.kind in (SERVER_STREAM, BIDI)

    async def run(self) -> Optional[bytes]:
        first = await self.first_request()
        self.plan = first.plan if first else Plan()
        self.tally = self.service.counters.begin(self.plan.tag)
        self.call.trailers = [(pair.name, pair.value) for pair in self.plan.trailers]
        if first:
            self.note(first)
        try:
            return await self.answer()
        finally:
            self.tally.running -= 1
            if self.call.stopped.is_set():
                self.tally.stopped += 1

    # ---- Reading -----------------------------------------------------------------------------------------------------

    async def first_request(self) -> Optional[Request]:
        if self.call.kind in (UNARY, SERVER_STREAM):
            return self.parsed(self.call.started.message)
        return await self.read()

    async def read(self) -> Optional[Request]:
        """The next request; None behind the client's last."""
        if self.has_ended:
            return None
        message = await self.call.read()
        self.has_ended = message is None
        return None if message is None else self.parsed(message)

    @staticmethod
    def parsed(message: bytes) -> Request:
        try:
            return Request.FromString(message)
        except DecodeError:
            raise Failure(Code.INVALID_ARGUMENT, "The request is no message of the method.") from None

    async def read_next(self) -> bool:
        request = await self.read()
        if request is not None:
            self.note(request)
        return request is not None

    def note(self, request: Request):
        self.payloads.append(request.payload)
        self.tally.requests += 1

    async def read_all(self):
        if self.plan.ignore_requests:
            return
        while await self.read_next():
            pass

    # ---- Answering ---------------------------------------------------------------------------------------------------

    async def answer(self) -> Optional[bytes]:
        by_turns = self.call.kind == BIDI and self.plan.pace != PACE["AFTER_END"]
        if self.call.kind in (CLIENT_STREAM, BIDI) and not by_turns:
            await self.read_all()
        await self.prepare()
        if not self.streams:
            return await self.single()
        if self.call.kind == BIDI and (self.plan.pace == PACE["TURNS"] or (by_turns and self.plan.echo)):
            await self.take_turns()
        else:
            for response in self.responses():
                await self.send(response)
        if self.call.kind == BIDI and self.plan.pace == PACE["AT_ONCE"]:
            await self.read_all()
        await self.fail_if_planned()
        return None

    async def prepare(self):
        if self.plan.hang:
            await self.hang()
        if self.plan.burn_ms:
            end = time.process_time() + self.plan.burn_ms / 1000
            while time.process_time() < end:
                pass
        if self.plan.HasField("forward"):
            self.next_seen = await self.forward()

    async def hang(self):
        await self.call.pause(LONGEST_HANG)
        raise Failure(Code.CANCELLED, "Nobody told this handler to stop.")

    async def single(self) -> bytes:
        if self.plan.HasField("failure"):
            await self.fail_if_planned()
        await self.delay()
        if self.plan.echo:
            data = b"".join(self.payloads)
        else:
            data = payload(self.plan.sizes[0] if self.plan.sizes else 0, 0)
        self.tally.responses += 1
        return self.response(data).SerializeToString()

    def responses(self):
        if self.plan.echo:
            return list(self.payloads)
        sizes = list(self.plan.sizes) * max(1, self.plan.rounds)
        return (payload(size, index) for index, size in enumerate(sizes))

    async def take_turns(self):
        """Response n answers request n; what the plan has beyond that follows the client's end."""
        rest = iter(()) if self.plan.echo else iter(self.responses())
        if self.payloads:
            await self.send_next(rest)
        while await self.read_next():
            await self.send_next(rest)
        for response in rest:
            await self.send(response)

    async def send_next(self, rest):
        response = self.payloads[-1] if self.plan.echo else next(rest, None)
        if response is not None:
            await self.send(response)

    async def send(self, data: bytes):
        await self.delay()
        try:
            await self.call.send(self.response(data).SerializeToString())
        except Stopped:
            if not self.plan.ignore_stop:
                raise
        self.tally.responses += 1

    async def delay(self):
        if not self.plan.delay_ms:
            return
        if self.plan.ignore_stop:
            await asyncio.sleep(self.plan.delay_ms / 1000)
        else:
            await self.call.pause(self.plan.delay_ms / 1000)

    def response(self, data: bytes) -> Response:
        response = Response(payload=data)
        if self.sent == 0:
            response.seen.CopyFrom(self.seen())
        self.sent += 1
        return response

    async def fail_if_planned(self):
        if not self.plan.HasField("failure"):
            return
        if self.sent == 0:
            await self.delay()
        failure = self.plan.failure
        if failure.untyped:
            raise RuntimeError(failure.message)
        details = failure.details
        if not details and (failure.reason or failure.violations):
            told = ErrorDetails(reason=failure.reason)
            for violation in failure.violations:
                told.violations.add(field=violation)
            details = told.SerializeToString()
        raise Failure(Code(failure.code), failure.message, details, failure.retry_after_ms)

    # ---- What was seen -----------------------------------------------------------------------------------------------

    def seen(self) -> Seen:
        call = self.call
        numbered = {key: value for key, value in call.metadata if isinstance(key, int)}
        seen = Seen(
            peer=call.peer, remaining_us=int((call.remaining or 0) * 1e6),
            request_id=numbered.get(metadata.REQUEST_ID, b"").decode(),
            attempt=int.from_bytes(numbered.get(metadata.ATTEMPT, b""), "big"),
            requests=[len(data) for data in self.payloads], ran_us=int((time.monotonic() - call.began) * 1e6))
        if call.peer == "gateway":
            seen.client_address = numbered.get(metadata.CLIENT_ADDRESS, b"").decode()
            seen.user_agent = numbered.get(metadata.USER_AGENT, b"").decode()
        for key, value in call.metadata:
            if isinstance(key, str):
                seen.metadata.add(name=key, value=value)
        if self.next_seen is not None:
            seen.next.CopyFrom(self.next_seen)
        return seen

    async def forward(self) -> Seen:
        """Calls another server on behalf of this call, with what is left of its time."""
        target = self.plan.forward
        channel = Channel([(target.host, target.port)], target.service, self.service.credentials)
        request = Request(plan=target.next).SerializeToString()
        outgoing = channel.call(self.call.remaining, method=METHODS[0].id, kind=UNARY, message=request)
        try:
            result = await self.call.unless_stopped(asyncio.shield(outgoing.result))
        finally:
            outgoing.cancel()
            await channel.close()
        if result.code != Code.OK:
            raise Failure(result.code, result.text, result.details, result.retry_after)
        return Response.FromString(result.message).seen
