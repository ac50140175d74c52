"""``stretto init``: a small project that runs as it is."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from stretto.cli.guard import guarded, say
from stretto.errors import InputInvalid

NAMES = {
    "workflow.yaml": "workflow.yaml",
    "agents.py": "agents.py.txt",
    "stretto.toml": "stretto.toml",
    ".env.example": "env.example",
    "README.md": "README.md",
}
"""What is written, and the shipped file with its text."""
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to; created if needed.")]


@guarded
def init(folder: Folder) -> None:
    """Write a small working project: workflow, agents, settings. Nothing is overwritten."""
    there = [name for name in NAMES if os.path.lexists(folder / name)]
    if there:
        raise InputInvalid(f"{folder} has {', '.join(there)} already; choose an empty folder")
    texts = files("stretto.cli") / "project"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, shipped in NAMES.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write((texts / shipped).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputInvalid(f"cannot write to {folder}: {error.strerror or error}") from None
    say(f"wrote {', '.join(NAMES)} to {folder}")
    go = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    say(f"try: {go}stretto run workflow.yaml")
