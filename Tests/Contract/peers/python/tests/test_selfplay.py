"""The peer as client against the peer as server, both driven as the harness drives them: over their standard input."""

import asyncio
import struct
import sys
import tempfile
import unittest
from pathlib import Path

import support
from conformance.messages import ORDER, PACE, Command, Reply
from conformance.methods import payload
from wire.errors import Code, Processed

import certificates

UNARY, IDEMPOTENT, CLIENT_STREAM, SERVER_STREAM, BIDI, FORBIDDEN = range(6)
LIMIT = 60.0


class Child:
    """A peer's process."""

    @classmethod
    async def start(cls) -> "Child":
        child = cls()
        child.process = await asyncio.create_subprocess_exec(
            sys.executable, str(support.PEER / "peer.py"), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        child.replies, child.last = {}, 0
        child.reader = asyncio.ensure_future(child.read())
        return child

    async def read(self):
        while True:
            (length,) = struct.unpack(">I", await self.process.stdout.readexactly(4))
            reply = Reply.FromString(await self.process.stdout.readexactly(length))
            self.replies.pop(reply.id).set_result(reply)

    def send(self, **body) -> asyncio.Future:
        """A command on its way; its id is `last`."""
        self.last += 1
        data = Command(id=self.last, **body).SerializeToString()
        self.process.stdin.write(struct.pack(">I", len(data)) + data)
        future = self.replies[self.last] = asyncio.get_running_loop().create_future()
        return future

    async def ask(self, **body) -> Reply:
        return await asyncio.wait_for(self.send(**body), LIMIT)

    async def stop(self) -> int:
        self.reader.cancel()
        self.process.stdin.close()
        return await asyncio.wait_for(self.process.wait(), LIMIT)


class SelfPlayTests(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        certificates.make(cls.folder, "conformance", "operator", "gateway", "stranger")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    async def asyncSetUp(self):
        self.server, self.client = await asyncio.gather(Child.start(), Child.start())
        await self.start_server()
        await self.open("main")

    async def asyncTearDown(self):
        self.assertEqual(await self.client.stop(), 0)
        self.assertEqual(await self.server.stop(), 0)

    def credentials(self, name: str) -> dict:
        files = {"certificate_file": f"{name}.pem", "key_file": f"{name}.key", "authority_file": "ca.pem"}
        return {field: str(self.folder / file) for field, file in files.items()}

    async def start_server(self, **fields):
        reply = await self.server.ask(start_server={"credentials": self.credentials("conformance"), **fields})
        self.endpoint = {"host": reply.server_ready.host, "port": reply.server_ready.port}

    async def open(self, name: str, identity: str = "operator", service: str = "conformance", **fields):
        await self.client.ask(open_channel={
            "name": name, "endpoints": [self.endpoint], "service": service,
            "credentials": self.credentials(identity), **fields})

    def start(self, method: int, plan: dict = {}, channel: str = "main", **fields) -> asyncio.Future:
        return self.client.send(call={"channel": channel, "method": method, "plan": plan, **fields})

    async def call(self, method: int, plan: dict = {}, **fields):
        reply = await asyncio.wait_for(self.start(method, plan, **fields), LIMIT)
        self.assertFalse(reply.failure)
        return reply.call_result

    async def tally(self, tag: str):
        return (await self.server.ask(report={"tag": tag})).tally

    async def begun(self, tag: str):
        """Waits until a handler with this tag runs."""
        while not (await self.tally(tag)).started:
            pass

    def check(self, result, code=Code.OK, processed=Processed.YES, sizes=None):
        self.assertEqual((result.code, result.processed), (code, processed), result.message)
        if sizes is not None:
            expected = [payload(size, index) for index, size in enumerate(sizes)]
            self.assertEqual([response.payload for response in result.responses], expected)

    # ---- Unary -------------------------------------------------------------------------------------------------------

    async def test_unary(self):
        pairs = [{"name": "a", "value": b"1"}, {"name": "b", "value": b"\0"}, {"name": "a", "value": b"2"}]
        result = await self.call(UNARY, {"sizes": [5]}, sends=[{"size": 7}], metadata=pairs, timeout_us=5_000_000)
        self.check(result, sizes=[5])
        seen = result.responses[0].seen
        self.assertEqual((seen.peer, list(seen.requests), seen.attempt), ("operator", [7], 1))
        self.assertEqual([(pair.name, pair.value) for pair in seen.metadata], [("a", b"1"), ("b", b"\0"), ("a", b"2")])
        self.assertTrue(0 < seen.remaining_us <= 5_000_000)

    async def test_unary_in_fragments(self):
        result = await self.call(UNARY, {"echo": True}, sends=[{"size": 3_000_000}])
        self.check(result, sizes=[3_000_000])

    async def test_empty_messages(self):
        self.check(await self.call(UNARY), sizes=[0])

    async def test_many_at_once(self):
        calls = [self.start(UNARY, {"sizes": [size], "delay_ms": size % 7}) for size in range(2_000)]
        for size, reply in enumerate(await asyncio.wait_for(asyncio.gather(*calls), LIMIT)):
            self.check(reply.call_result, sizes=[size])

    # ---- Status ------------------------------------------------------------------------------------------------------

    async def test_every_code(self):
        for method in (UNARY, CLIENT_STREAM, SERVER_STREAM, BIDI):
            for code in range(1, 17):
                failure = {"code": code, "message": "\t☺ 😈\r\n", "reason": "odd", "violations": ["a.b"]}
                result = await self.call(method, {"failure": failure}, sends=[{"size": 1}])
                self.check(result, Code(code))
                self.assertEqual((result.message, result.reason), ("\t☺ 😈\r\n", "odd"))
                self.assertEqual(list(result.violations), ["a.b"])

    async def test_error_after_responses(self):
        result = await self.call(SERVER_STREAM, {"sizes": [3, 4], "failure": {"code": 10, "retry_after_ms": 7}})
        self.check(result, Code.ABORTED, sizes=[3, 4])
        self.assertEqual(result.retry_after_ms, 7)

    async def test_untyped_errors_keep_their_text(self):
        result = await self.call(UNARY, {"failure": {"untyped": True, "message": "the password is x"}})
        self.check(result, Code.INTERNAL)
        self.assertNotIn("password", result.message)

    async def test_forbidden(self):
        self.check(await self.call(FORBIDDEN), Code.PERMISSION_DENIED, Processed.NO)
        await self.open("stranger", "stranger")
        self.check(await self.call(UNARY, channel="stranger"), Code.PERMISSION_DENIED, Processed.NO)

    async def test_too_long(self):
        result = await self.call(IDEMPOTENT, sends=[{"size": 20_000}])
        self.check(result, Code.RESOURCE_EXHAUSTED, Processed.NO)
        result = await self.call(IDEMPOTENT, {"sizes": [20_000]})
        self.assertEqual(result.code, Code.RESOURCE_EXHAUSTED)

    async def test_wrong_server(self):
        await self.open("wrong", service="auth")
        result = await self.call(UNARY, channel="wrong", fail_fast=True)
        self.check(result, Code.UNAVAILABLE, Processed.NO)

    # ---- Deadline and cancel -----------------------------------------------------------------------------------------

    async def test_deadline(self):
        for method in (UNARY, CLIENT_STREAM, SERVER_STREAM, BIDI):
            tag = f"deadline-{method}"
            result = await self.call(method, {"tag": tag, "hang": True}, sends=[{}], timeout_us=300_000)
            self.check(result, Code.DEADLINE_EXCEEDED, Processed.MAYBE)
            while (await self.tally(tag)).running:
                pass
            self.assertEqual((await self.tally(tag)).stopped, 1)

    async def test_deadline_crosses_two_hops(self):
        forward = {**self.endpoint, "service": "conformance", "next": {}}
        result = await self.call(UNARY, {"forward": forward}, timeout_us=5_000_000)
        self.check(result)
        seen = result.responses[0].seen
        self.assertEqual(seen.next.peer, "conformance")
        self.assertLess(seen.next.remaining_us, 5_000_000)

    async def test_cancel(self):
        moments = [{"before_start": True}, {"after_ms": 20}, {"after_sends_ms": 1}]
        for moment in moments:
            result = await self.call(BIDI, {"hang": True}, sends=[{}], cancel=moment)
            self.assertEqual(result.code, Code.CANCELLED)

    async def test_cancel_command(self):
        reply = self.start(UNARY, {"tag": "cancelled", "hang": True})
        number = self.client.last
        await self.begun("cancelled")
        await self.client.ask(cancel_call={"call": number})
        self.check((await reply).call_result, Code.CANCELLED, Processed.MAYBE)

    async def test_cancel_after_responses(self):
        result = await self.call(SERVER_STREAM, {"sizes": [9], "rounds": 100_000}, cancel={"after_responses": 3})
        self.assertEqual((result.code, result.response_count >= 3), (Code.CANCELLED, True))

    # ---- Streams -----------------------------------------------------------------------------------------------------

    async def test_client_stream(self):
        sends = [{"size": size} for size in (0, 1, 250_000, 70)]
        result = await self.call(CLIENT_STREAM, {"echo": True}, sends=sends)
        self.check(result)
        self.assertEqual(list(result.responses[0].seen.requests), [0, 1, 250_000, 70])
        self.check(await self.call(CLIENT_STREAM), sizes=[0])

    async def test_server_stream(self):
        sizes = [0, 1, 1_000_000, 100]
        self.check(await self.call(SERVER_STREAM, {"sizes": sizes, "delay_ms": 1}), sizes=sizes)
        self.check(await self.call(SERVER_STREAM), sizes=[])

    async def test_bidi(self):
        sends = [{"size": size} for size in (5, 300_000, 0)]
        for pace, order in (("TURNS", "ALTERNATE"), ("AFTER_END", "SEND_FIRST"), ("TURNS", "SEND_FIRST")):
            plan = {"pace": PACE[pace], "echo": True}
            self.check(await self.call(BIDI, plan, sends=sends, order=ORDER[order]), sizes=[5, 300_000, 0])
        plan = {"pace": PACE["AT_ONCE"], "sizes": [8, 9, 70_000]}
        result = await self.call(BIDI, plan, sends=sends, order=ORDER["READ_FIRST"])
        self.check(result, sizes=[8, 9, 70_000])
        self.assertEqual(list(result.responses[0].seen.requests), [5])

    async def test_stream_longer_than_its_credit(self):
        await self.open("small", limits={"call_credit": 16_384, "connection_credit": 16_384})
        plan = {"sizes": [100_000, 1, 0], "rounds": 30}
        result = await self.call(SERVER_STREAM, plan, channel="small", summary=True)
        self.check(result)
        self.assertEqual((result.response_count, result.response_bytes), (90, 3_000_030))

    async def test_slow_reader_holds_up_nobody_else(self):
        slow = self.start(SERVER_STREAM, {"tag": "slow", "sizes": [60_000], "rounds": 50}, read_delay_ms=20)
        await self.begun("slow")
        self.check(await self.call(SERVER_STREAM, {"sizes": [1_000_000]}), sizes=[1_000_000])
        self.assertFalse(slow.done())
        self.check((await asyncio.wait_for(slow, LIMIT)).call_result)

    # ---- The end -----------------------------------------------------------------------------------------------------

    async def test_drain(self):
        slow = self.start(UNARY, {"tag": "last", "sizes": [3], "delay_ms": 200})
        await self.begun("last")
        done = await self.server.ask(drain_server={"grace_ms": 20_000})
        self.assertEqual(done.WhichOneof("body"), "done")
        self.check((await slow).call_result, sizes=[3])
        self.check(await self.call(UNARY, fail_fast=True), Code.UNAVAILABLE, Processed.NO)

    async def test_reload(self):
        slow = self.start(UNARY, {"tag": "kept", "sizes": [3], "delay_ms": 200})
        await self.begun("kept")
        for child in (self.server, self.client):
            self.assertEqual((await child.ask(reload={})).WhichOneof("body"), "done")
        self.check((await slow).call_result, sizes=[3])
        self.check(await self.call(UNARY))

    async def test_trailers(self):
        trailers = [{"name": "a", "value": b"1"}, {"name": "b-bin", "value": b"\0\1"}, {"name": "a", "value": b"2"}]
        for failure in ({}, {"failure": {"code": Code.NOT_FOUND}}):
            result = await self.call(UNARY, {"trailers": trailers, **failure})
            told = [(pair.name, pair.value) for pair in result.trailers]
            self.assertEqual(told, [("a", b"1"), ("b-bin", b"\0\1"), ("a", b"2")])

    async def test_lost_connection(self):
        call = self.start(UNARY, {"tag": "lost", "hang": True})
        await self.begun("lost")
        self.server.process.kill()
        self.check((await asyncio.wait_for(call, LIMIT)).call_result, Code.UNAVAILABLE, Processed.MAYBE)
        self.server.reader.cancel()
        await self.server.process.wait()
        self.server = await Child.start()

    async def test_unknown_command(self):
        self.assertTrue((await self.server.ask()).failure)
        self.assertTrue((await self.client.ask(close_channel={"name": "nobody"})).failure)


if __name__ == "__main__":
    unittest.main()
