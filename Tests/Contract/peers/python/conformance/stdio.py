"""Commands in, replies out: each behind its length in 4 bytes."""

import asyncio
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

from .messages import Command, Reply

LONGEST = 67_108_864


class Pipe:
    """Standard input and output. Input is read on a thread: it may be a file, which no event loop can wait for."""

    def __init__(self):
        self.thread = ThreadPoolExecutor(max_workers=1)

    async def command(self) -> Optional[Command]:
        """The next command; None when standard input has ended."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.read)

    @staticmethod
    def read() -> Optional[Command]:
        header = sys.stdin.buffer.read(4)
        length = int.from_bytes(header, "big")
        if len(header) < 4 or length > LONGEST:
            return None
        data = sys.stdin.buffer.read(length)
        return Command.FromString(data) if len(data) == length else None

    @staticmethod
    def reply(reply: Reply):
        data = reply.SerializeToString()
        sys.stdout.buffer.write(struct.pack(">I", len(data)) + data)
        sys.stdout.buffer.flush()
