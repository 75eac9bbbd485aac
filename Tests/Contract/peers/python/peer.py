#!/usr/bin/env python3
"""A peer for `lockstep contract run`, as server and as client, written from Protocols/WIRE.md alone."""

import asyncio
import os

from conformance.control import Peer


def main():
    asyncio.run(Peer().run())
    # What is open closes with the process, without waiting.
    os._exit(0)


if __name__ == "__main__":
    main()
