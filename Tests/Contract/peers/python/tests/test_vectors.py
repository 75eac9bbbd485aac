"""What each role does when it receives the bytes of Protocols/vectors (WIRE.md, section 13)."""

import unittest

import support
from wire import events, frames
from wire.client import ClientConnection
from wire.decoding import decode
from wire.frames import CLIENT_STREAM, UNARY
from wire.limits import Limits, Timers
from wire.server import ServerConnection


def sent_frames(data: bytes, sender: str) -> list:
    found = []
    while data:
        header = frames.HEADER.unpack_from(data)
        end = frames.HEADER.size + header[0]
        found.append(decode(header, data[frames.HEADER.size:end], sender))
        data = data[end:]
    return found


class VectorTests(unittest.TestCase):
    def test_server(self):
        for vector in support.vectors("server"):
            with self.subTest(vector["name"]):
                limits = dict(vector.get("limits", {}))
                late_frames = limits.pop("late_frames", None)
                server = ServerConnection(Limits(**limits), Timers(), 0, streams=vector.get("streams", False))
                if late_frames is not None:
                    server.floods[125].allowed = late_frames
                self.play(server, vector, lambda: None)

    def test_client(self):
        for vector in support.vectors("client"):
            with self.subTest(vector["name"]):
                client = ClientConnection(Limits(**vector.get("limits", {})), Timers(), 0)
                self.play(client, vector, lambda: self.start(client, vector))

    @staticmethod
    def start(client, vector):
        kind = vector.get("kind", UNARY)
        for _ in range(vector.get("start", 0)):
            client.call(1, kind, 0, None if kind in (CLIENT_STREAM, 3) else b"hi")

    def play(self, connection, vector, start):
        connection.start()
        connection.output()
        connection.receive(bytes.fromhex(vector["receive"][0]), 0)
        if connection.peer:
            start()
        before = connection.output() if vector.get("start") else b""
        for data in vector["receive"][1:]:
            connection.receive(bytes.fromhex(data), 0)
        self.check(vector["expect"], connection, connection.output(), before)

    def check(self, expect, connection, sent, before):
        found = connection.take_events()
        out = sent_frames(sent, connection.role)
        goodbyes = [(frame.code, frame.rule) for frame in out if isinstance(frame, frames.Goodbye)]
        status = [[frame.call, frame.code, frame.processed] for frame in out if isinstance(frame, frames.Status)]
        results = [[e.call, e.result.code, e.result.processed] for e in found if isinstance(e, events.Finished)]
        facts = {
            "open": connection.closed is None,
            "close": list(goodbyes[0]) if goodbyes else None,
            "calls": [event.call for event in found if isinstance(event, events.CallStarted)],
            "messages": [event.message.hex() for event in found if isinstance(event, events.MessageArrived)],
            "status": status,
            "results": results,
            "sent": sent.hex(),
        }
        for name, expected in expect.items():
            self.assertEqual(facts[name], expected, name)


if __name__ == "__main__":
    unittest.main()
