"""kill -9 while a process writes: what was acknowledged must be there afterwards."""

import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from benchmarks.memory.figures import Figure
from stretto.memory.backend.edge import EdgeBackend

WRITER = """
    import sys, uuid
    from pathlib import Path
    from stretto.memory.backend.edge import EdgeBackend
    from stretto.memory.backend.types import Point
    backend = EdgeBackend(Path(sys.argv[1]))
    while True:
        written = []
        for _ in range(20):
            id = str(uuid.uuid4())
            point = Point(id, {"text": id}, lex=([1, 2], [1.0, 2.0]))
            written.append((id, backend.upsert([point])))
        for id, future in written:
            future.result()
            print(id, flush=True)
"""


def measure(folder: Path, rounds: int) -> list[Figure]:
    """Kill a writer in its work ``rounds`` times, each after another number of writes."""
    acknowledged: set[str] = set()
    reopened = 0.0
    for _ in range(rounds):
        acknowledged |= _killed(folder, random.randrange(50, 1_000))
        backend = EdgeBackend(folder)
        started = time.perf_counter()
        backend.count(None).result()
        reopened = max(reopened, time.perf_counter() - started)
        found = {record.id for record in backend.retrieve(sorted(acknowledged)).result()}
        backend.close()
        if lost := acknowledged - found:
            return [Figure(f"kill -9, {rounds} rounds", "writes lost", len(lost), 0)]
    return [
        Figure(f"kill -9, {rounds} rounds", "acknowledged writes", len(acknowledged)),
        Figure(f"kill -9, {rounds} rounds", "writes lost", 0, 0),
        Figure(f"kill -9, {rounds} rounds", "s to reopen, worst", reopened, 2),
    ]


def _killed(folder: Path, writes: int) -> set[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = {process.stdout.readline().strip() for _ in range(writes)}
        process.kill()
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
    return acknowledged
