"""Protocols/vectors/streams.json, with both sides under test at once: each one's bytes are the other's input."""

import unittest

import support
from wire import events, frames
from wire.client import ClientConnection
from wire.frames import BIDI, CLIENT_STREAM
from wire.limits import Limits, Timers
from wire.server import ServerConnection

CALL = 1


class StreamTests(unittest.TestCase):
    def test_streams(self):
        for vector in support.vectors("streams"):
            with self.subTest(vector["name"]):
                self.play(vector)

    def play(self, vector):
        limits = Limits(**vector.get("limits", {}))
        sides = {
            "client": ClientConnection(limits, Timers(), 0), "server": ServerConnection(limits, Timers(), 0),
        }
        for side in sides.values():
            side.start()
        hellos = {name: side.output() for name, side in sides.items()}
        sides["server"].receive(hellos["client"], 0)
        sides["client"].receive(hellos["server"], 0)
        for side in sides.values():
            side.take_events()
        for step in vector["steps"]:
            self.step(step, sides)

    def step(self, step, sides):
        name = step["by"]
        side, other = sides[name], sides["server" if name == "client" else "client"]
        for wish in step["does"]:
            self.wish(side, *wish)
        sent = side.output()
        self.assertEqual(sent.hex(), step.get("sends", ""))
        side.take_events()
        other.receive(sent, 0)
        back = other.output()
        self.assertEqual(back.hex(), step.get("back", ""))
        self.assertEqual(self.heard(other), step.get("hears", []))
        side.receive(back, 0)

    def wish(self, side, verb, *words):
        if isinstance(side, ClientConnection):
            return self.client_wish(side, verb, *words)
        if verb == "send":
            side.respond(CALL, bytes.fromhex(words[0]))
        elif verb == "take":
            side.taken(CALL)
        else:
            code = int(words[0]) if verb == "fail" else 0
            message = bytes.fromhex(words[0]) if verb == "succeed" else None
            side.finish(CALL, frames.Status(CALL, code, 2, message=message), 0)

    @staticmethod
    def client_wish(side, verb, *words):
        if verb == "call":
            message = bytes.fromhex(words[1]) if len(words) > 1 else None
            side.call(1, int(words[0]), 0, message)
        elif verb == "send":
            side.request(CALL, bytes.fromhex(words[0]))
        elif verb == "end":
            side.end_requests(CALL)
        elif verb == "take":
            side.taken(CALL)
        elif verb == "cancel":
            side.cancel(CALL)

    @staticmethod
    def heard(side) -> list:
        found = []
        for event in side.take_events():
            if isinstance(event, events.CallStarted):
                streams = event.kind in (CLIENT_STREAM, BIDI)
                found.append(["call", str(event.kind), "" if streams else event.message.hex()])
            elif isinstance(event, events.MessageArrived):
                found.append(["message", event.message.hex()])
            elif isinstance(event, events.RequestsEnded):
                found.append(["end"])
            elif isinstance(event, events.StopRequested):
                found.append(["cancelled"])
            elif isinstance(event, events.Finished):
                result = event.result
                message = [] if result.message is None else [result.message.hex()]
                found.append(["result", str(int(result.code)), str(int(result.processed))] + message)
        return found


if __name__ == "__main__":
    unittest.main()
