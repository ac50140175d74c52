"""A process of its own that has a memory, so that nobody else can."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = """
import asyncio, sys
from stretto.memory.recollection import Memory

async def hold():
    async with Memory(sys.argv[1]) as memory:
        await memory.remember("It is held.")
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(hold())
"""


@contextmanager
def held(folder: Path) -> Generator[int]:
    """Let another process have the memory in a folder during the block; give its id."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.communicate("", timeout=30)
