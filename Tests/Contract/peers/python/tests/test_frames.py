"""Golden frames, both ways."""

import unittest

import support
from wire import frames
from wire.decoding import decode
from wire.errors import WireError

BYTES = {"metadata", "details", "fragment", "message", "value"}
TYPES = {
    "HELLO": frames.Hello, "CALL": frames.Call, "MSG": frames.Msg, "END": frames.End, "STATUS": frames.Status,
    "CANCEL": frames.Cancel, "CREDIT": frames.Credit, "PING": frames.Ping, "PONG": frames.Pong, "DRAIN": frames.Drain,
    "DRAIN_ACK": frames.DrainAck, "GOODBYE": frames.Goodbye, "SKIPPED": frames.Skipped,
}


def built(fields: dict):
    """A frame from a vector's fields."""
    fields = dict(fields)
    kind = TYPES[fields.pop("type")]
    for name in BYTES & fields.keys():
        fields[name] = bytes.fromhex(fields[name])
    for name in {"text", "reason"} & fields.keys():
        fields[name] = fields[name].encode()
    if "remaining" in fields:
        fields["remaining"] = int(fields["remaining"])
    if "fingerprints" in fields:
        fields["fingerprints"] = [(name, bytes.fromhex(value)) for name, value in fields["fingerprints"]]
    return kind(**fields)


class FrameTests(unittest.TestCase):
    def test_golden_frames(self):
        for vector in support.vectors("frames"):
            with self.subTest(vector["name"]):
                data, expected = bytes.fromhex(vector["hex"]), built(vector["frame"])
                header = frames.HEADER.unpack_from(data)
                found = [self.decoded(header, data, sender) for sender in (frames.CLIENT, frames.SERVER)]
                self.assertIn(expected, found)
                if not isinstance(expected, frames.Skipped):
                    self.assertEqual(expected.encode(), data)

    @staticmethod
    def decoded(header, data, sender):
        try:
            return decode(header, data[frames.HEADER.size:], sender)
        except WireError:
            return None


if __name__ == "__main__":
    unittest.main()
