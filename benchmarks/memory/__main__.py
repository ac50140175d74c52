"""``python -m benchmarks.memory``: measure memory, print the table, and keep the figures."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.memory import engine, killing, recall
from benchmarks.memory.figures import Figure, to_json, to_markdown

SIZES, QUICK_SIZES = (10_000, 100_000), (500,)
ROUNDS, QUICK_ROUNDS = 50, 2


def _engine(quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    for size in QUICK_SIZES if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            figures += engine.measure(Path(folder), size)
    return figures


def _recall(quick: bool) -> list[Figure]:
    figures = recall.imports()
    for size in QUICK_SIZES if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            figures += recall.measure(Path(folder), size)
    return figures


def _kill(quick: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return killing.measure(Path(folder), QUICK_ROUNDS if quick else ROUNDS)


SUITES: dict[str, Callable[[bool], list[Figure]]] = {
    "engine": _engine,
    "recall": _recall,
    "kill": _kill,
}
"""What can be measured; each is told whether small sizes will do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for.

    Args:
        arguments: the words after the command; those of the process if None.

    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="small sizes; no figures")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for name in options.only:
        started = time.perf_counter()
        figures += SUITES[name](options.quick)
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    print(to_markdown(figures))
    if options.json:
        text = json.dumps(to_json(figures), indent=2, ensure_ascii=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
