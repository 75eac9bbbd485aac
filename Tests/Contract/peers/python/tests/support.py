"""Where the tests find the peer, and the vectors of WIRE.md."""

import json
import sys
from pathlib import Path

PEER = Path(__file__).resolve().parents[1]
ROOT = PEER.parents[3]
sys.path.insert(0, str(PEER))


def vectors(name: str) -> list:
    return json.loads((ROOT / "Protocols/vectors" / f"{name}.json").read_text())
