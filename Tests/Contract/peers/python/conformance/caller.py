"""One call of a client under test (PROTOCOL.md, "As a client")."""

import asyncio
import hashlib
import time
from typing import Iterator, Optional

from google.protobuf.message import DecodeError

from net.client import Channel, OutgoingCall
from wire.errors import Code, Processed
from wire.events import Result
from wire.frames import CLIENT_STREAM, SERVER_STREAM, UNARY

from .messages import ORDER, CallResult, ErrorDetails, Request, Response
from .methods import DEFAULT_DEADLINE, METHODS, payload


class Caller:
    def __init__(self, channel: Channel, command):
        self.channel, self.command = channel, command
        self.method = METHODS[command.method]
        self.call: Optional[OutgoingCall] = None
        self.began = time.monotonic()
        self.reply = CallResult()
        self.digest = hashlib.sha256()
        self.is_cancelled = False
        self.timers: list = []
        self.malformed = False

    @property
    def streams(self) -> bool:
        return self.method.kind not in (UNARY, CLIENT_STREAM)

    def cancel(self):
        self.is_cancelled = True
        if self.call:
            self.call.cancel()

    async def run(self) -> CallResult:
        if self.command.cancel.before_start:
            self.cancel()
        requests = self.requests()
        if self.is_cancelled:
            self.reply.unsent = sum(1 for _ in requests)
            return self.report(Result(Code.CANCELLED, "The call was cancelled before it began.", Processed.NO))
        self.begin(requests)
        try:
            await self.converse(requests)
            return self.report(await self.call.result)
        finally:
            for timer in self.timers:
                timer.cancel()

    # ---- Requests ----------------------------------------------------------------------------------------------------

    def requests(self) -> Iterator[tuple]:
        """Each request's bytes, and the delay before it in seconds."""
        index = 0
        sends = self.command.sends
        for send in sends:
            for _ in range(max(1, send.times)):
                data = send.payload or payload(send.size, index)
                request = Request(payload=data)
                if index == 0:
                    request.plan.CopyFrom(self.command.plan)
                yield request.SerializeToString(), send.delay_ms / 1000
                index += 1
        if not sends and self.method.kind != CLIENT_STREAM:
            yield Request(plan=self.command.plan).SerializeToString(), 0

    def begin(self, requests: Iterator[tuple]):
        has_one = self.method.kind in (UNARY, SERVER_STREAM)
        message = next(requests)[0] if has_one else None
        timeout = self.command.timeout_us / 1e6 or DEFAULT_DEADLINE
        self.call = self.channel.call(
            timeout, self.command.fail_fast, method=self.method.id, kind=self.method.kind, message=message,
            entries=[(pair.name, pair.value) for pair in self.command.metadata], lane=self.command.lane,
            limit=self.method.limit)
        if self.command.cancel.after_ms:
            self.cancel_after(self.command.cancel.after_ms)

    def cancel_after(self, milliseconds: int):
        loop = asyncio.get_running_loop()
        self.timers.append(loop.call_later(milliseconds / 1000, self.cancel))

    async def send_next(self, requests: Iterator[tuple]) -> bool:
        """Sends the next request; False when there is none, or the call is over."""
        request = next(requests, None)
        if request is None:
            return False
        message, delay = request
        if delay:
            await asyncio.wait([self.call.result], timeout=delay)
        if await self.call.send(message):
            return True
        self.reply.unsent += 1
        return False

    async def finish_sending(self):
        await self.call.end_requests()
        await self.call.first(self.call.sent)
        if self.command.cancel.HasField("after_sends_ms"):
            self.cancel_after(self.command.cancel.after_sends_ms)

    # ---- The conversation --------------------------------------------------------------------------------------------

    async def converse(self, requests: Iterator[tuple]):
        if self.method.kind in (UNARY, SERVER_STREAM):
            sending = asyncio.ensure_future(self.finish_single())
            await self.read_all()
            await asyncio.wait([self.call.result])
            return sending.cancel()
        if self.command.order == ORDER["READ_FIRST"]:
            await self.read_before_sending_on(requests)
        by_turns = self.command.order == ORDER["ALTERNATE"]
        while await self.send_next(requests):
            if by_turns and not await self.read_next():
                break
        self.reply.unsent += sum(1 for _ in requests)
        await self.finish_sending()
        await self.read_all()

    async def read_before_sending_on(self, requests: Iterator[tuple]):
        """The first request brings the plan; what it says comes back before the others go."""
        if await self.send_next(requests):
            for _ in self.command.plan.sizes:
                if not await self.read_next():
                    break

    async def finish_single(self):
        await self.call.first(self.call.started)
        await self.call.first(self.call.sent)
        if self.command.cancel.HasField("after_sends_ms"):
            self.cancel_after(self.command.cancel.after_sends_ms)

    async def read_all(self):
        if not self.streams:
            return
        while await self.read_next():
            pass

    async def read_next(self) -> bool:
        """Reads a response; False when there are no more."""
        if self.command.read_delay_ms:
            await self.rest(self.command.read_delay_ms)
        message = await self.call.read()
        if message is None:
            return False
        try:
            self.take(message)
        except DecodeError:
            self.malformed = True
            self.cancel()
            return False
        if self.command.cancel.after_responses == self.reply.response_count:
            self.cancel()
        if self.command.pause_after == self.reply.response_count:
            await self.rest(self.command.pause_ms)
        return True

    async def rest(self, milliseconds: int):
        """As a slow application would, which takes its time unless it hears that the call has failed."""
        end = time.monotonic() + milliseconds / 1000
        done, _ = await asyncio.wait([self.call.result], timeout=milliseconds / 1000)
        if done and self.call.result.result().code == Code.OK:
            await asyncio.sleep(max(0, end - time.monotonic()))

    # ---- The result --------------------------------------------------------------------------------------------------

    def take(self, message: bytes):
        response = Response.FromString(message)
        self.reply.response_count += 1
        self.reply.response_bytes += len(response.payload)
        self.digest.update(response.payload)
        if self.reply.response_count == 1:
            self.reply.first_response_us = max(1, self.elapsed())
        if self.command.summary:
            response.payload = b""
        if not self.command.summary or self.reply.response_count == 1:
            self.reply.responses.append(response)

    def elapsed(self) -> int:
        return int((time.monotonic() - self.began) * 1e6)

    def report(self, result: Result) -> CallResult:
        reply = self.reply
        reply.elapsed_us = self.elapsed()
        if self.malformed:
            result = Result(Code.INTERNAL, "A response is no message of the method.", Processed.MAYBE)
        if result.message is not None:
            result = self.unless_malformed(result)
        reply.code, reply.message, reply.processed = result.code, result.text, result.processed
        reply.details, reply.retry_after_ms = result.details, result.retry_after
        reply.queued_us, reply.ran_us = result.queued, result.ran
        reply.sha256 = self.digest.digest()
        for key, value in result.metadata:
            if isinstance(key, str):
                reply.trailers.add(name=key, value=value)
        self.explain(result.details)
        return reply

    def unless_malformed(self, result: Result) -> Result:
        try:
            self.take(result.message)
            return result
        except DecodeError:
            return Result(Code.INTERNAL, "The response is no message of the method.", result.processed)

    def explain(self, details: bytes):
        try:
            told = ErrorDetails.FromString(details)
        except DecodeError:
            return
        self.reply.reason = told.reason
        self.reply.violations.extend(violation.field for violation in told.violations)
