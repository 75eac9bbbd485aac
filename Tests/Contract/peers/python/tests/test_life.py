"""Connections that have had their time (W-108), without sockets."""

import unittest

import support  # noqa: F401  It finds the peer.
from wire import frames
from wire.client import ClientConnection
from wire.frames import UNARY
from wire.limits import Limits, Timers
from wire.server import ServerConnection


class LifeTests(unittest.TestCase):
    def pair(self, **timers):
        client = ClientConnection(Limits(), Timers(), 0.0)
        server = ServerConnection(Limits(), Timers(keepalive_interval=1000.0, **timers), 0.0)
        client.start()
        server.start()
        server.receive(client.output(), 0.0)
        client.receive(server.output(), 0.0)
        return client, server

    def drained(self, server: ServerConnection, start: float, end: float):
        """When it drained, in tenths of seconds; None when it did not."""
        for tenth in range(int(start * 10), int(end * 10)):
            server.tick(tenth / 10)
            if server.last_call is not None:
                return tenth / 10
        return None

    def test_old(self):
        _, server = self.pair(max_age=8.0)
        self.assertEqual(self.drained(server, 0, 20), 8.0)

    def test_idle(self):
        _, server = self.pair(idle=8.0)
        self.assertTrue(8.0 <= self.drained(server, 0, 20) <= 9.0)

    def test_calls_keep_it(self):
        client, server = self.pair(idle=8.0)
        client.call(now=5.0, timeout=None, method=1, kind=UNARY, message=b"", entries=[])
        server.receive(client.output(), 5.0)
        self.assertIsNone(self.drained(server, 5, 40))
        server.finish(1, frames.Status(1, 0, 2), 40.0)
        self.assertTrue(47.0 <= self.drained(server, 40, 60) <= 50.0)

    def test_for_ever(self):
        _, server = self.pair()
        self.assertIsNone(self.drained(server, 0, 100))


if __name__ == "__main__":
    unittest.main()
