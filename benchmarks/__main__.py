"""``python -m benchmarks``: measure, print the table, and keep the figures."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row, to_json, to_markdown, write_docs
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.plan import Plan

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ROUNDS = 7


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for.

    Args:
        arguments: the words after the command; those of the process if None.

    """
    options = _parser().parse_args(arguments)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    rows = asyncio.run(measure_all(options.only, rounds, options.quick))
    table = to_markdown(rows, rounds)
    print(table)
    if options.json:
        text = json.dumps(to_json(rows, rounds), indent=2, ensure_ascii=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.write_docs:
        write_docs(DOCS, table)


async def measure_all(letters: Sequence[str], rounds: int, quick: bool = False) -> list[Row]:
    """Measure the scenarios of these letters, in order.

    Args:
        letters: which scenarios.
        rounds: how many rounds count.
        quick: small sizes, for a look at whether everything works.

    """
    rows: list[Row] = []
    for letter in letters:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = await SCENARIOS[letter](Plan(Path(folder), rounds, quick))
        # Small sizes say nothing about the targets.
        rows += [replace(row, target=None) for row in found] if quick else found
        print(f"{letter}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=_count, help=f"rounds that count; {ROUNDS} if not given")
    parser.add_argument(
        "--only",
        type=_letters,
        default=tuple(SCENARIOS),
        metavar="a,b,...",
        help=f"scenarios by letter, of {', '.join(SCENARIOS)}; all if not given",
    )
    parser.add_argument("--json", metavar="FILE", help="write every figure of every round there")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round; no figures")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/benchmarks.md")
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one round is needed")
    return count


def _letters(text: str) -> tuple[str, ...]:
    letters = tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    if unknown := [letter for letter in letters if letter not in SCENARIOS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(SCENARIOS)}")
    return letters


if __name__ == "__main__":
    main()
