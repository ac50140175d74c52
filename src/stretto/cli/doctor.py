"""``stretto doctor``: whether everything that workflows need here is in order."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import typer
from rich.text import Text

from stretto.cli.archives import DATABASE, database_url, has_runs
from stretto.cli.crew import NEIGHBOUR, load_crew, make_registry
from stretto.cli.deployment import read_settings
from stretto.cli.guard import FAILED, guarded
from stretto.cli.options import Home
from stretto.cli.terminal import clean, console_on, data_stream
from stretto.errors import MemoryFault, StrettoError

if TYPE_CHECKING:
    from stretto.config import Settings

Level = Literal["ok", "warn", "fail"]
STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
OLDEST = (3, 11)
PACKAGES = ("langgraph", "langchain-core", "langchain-openai", "pydantic", "sqlalchemy", "rich")
TIMEOUT = 2.0
"""Seconds to wait for a server to take a connection."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    level: Level
    about: str
    message: str


Check = Callable[["Settings"], Iterator[Finding]]


@guarded
def doctor(home: Home = None) -> None:
    """Check the installation and the settings of this folder.

    Each line says ok, warn or fail, and what to do. A file agents.py in this folder is loaded by
    itself with the workflows next to it, so it is checked too.
    """
    found: list[Finding] = []
    with data_stream() as stream:
        console = console_on(stream)
        for finding in _findings(home):
            found.append(finding)
            line = Text(f"{finding.level:<4}", STYLES[finding.level])
            line.append(clean(f"  {finding.about:<10}  {finding.message}"), "default")
            console.print(line, soft_wrap=True)
    if any(finding.level == "fail" for finding in found):
        raise typer.Exit(FAILED)


def _findings(home: str | None) -> Iterator[Finding]:
    yield from _python()
    yield from _packages()
    try:
        settings = read_settings(home)
    except StrettoError as error:
        yield Finding("fail", "settings", error.message)
        return
    checks: tuple[Check, ...] = (_home, _database, _model, _agents, _qdrant, _memory, _redis)
    for check in checks:
        try:
            yield from check(settings)
        except StrettoError as error:
            yield Finding("fail", check.__name__.strip("_"), error.message)


def _python() -> Iterator[Finding]:
    text = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield Finding("fail", "python", f"{text}; install 3.11 or newer")
    else:
        yield Finding("ok", "python", text)


def _packages() -> Iterator[Finding]:
    for name in ("stretto", *PACKAGES):
        try:
            yield Finding("ok", "package", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("fail", "package", f"{name} is missing; run 'pip install {name}'")


def _home(settings: "Settings") -> Iterator[Finding]:
    place = settings.home
    above = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    if not above.is_dir():
        yield Finding("fail", "home", f"{above} is no folder; set STRETTO_HOME to one")
    elif not os.access(above, os.W_OK | os.X_OK):
        yield Finding("fail", "home", f"cannot write to {above}; set STRETTO_HOME to another place")
    else:
        state = "is writable" if place.exists() else "will be created by the first run"
        yield Finding("ok", "home", f"{place} {state}")


def _database(settings: "Settings") -> Iterator[Finding]:
    import asyncio

    url = database_url(settings)
    shown = urlsplit(url).scheme if settings.database_url else str(settings.home / DATABASE)
    if not has_runs(settings):
        yield Finding("ok", "database", f"{shown} will be created by the first run")
        return

    async def opened() -> None:
        from stretto.engine.records import Records

        await (await Records.open(url)).close()

    asyncio.run(opened())
    yield Finding("ok", "database", f"{shown} opens")


def _model(settings: "Settings") -> Iterator[Finding]:
    import asyncio

    from stretto.agents.models.known import know_model
    from stretto.agents.models.opening import open_configured
    from stretto.agents.models.reachable import why_unreachable

    model = know_model(open_configured(None, settings))
    if type(model.chat).__name__ == "OfflineModel":
        hint = "answers are extracts, no key is needed; set OPENAI_API_KEY for a real model"
        yield Finding("ok", "model", f"offline: {hint}")
        return
    if reason := asyncio.run(why_unreachable(model.endpoint)):
        yield Finding("fail", "model", reason)
        return
    yield Finding("ok", "model", f"{settings.model or model.name}, key is set (it was not called)")


def _agents(settings: "Settings") -> Iterator[Finding]:
    if not Path(NEIGHBOUR).is_file():
        yield Finding("ok", "agents", f"no {NEIGHBOUR} here; the shipped agents are there")
        return
    crew = load_crew((), Path())
    make_registry(crew, settings, settings.model)
    count = f"{len(crew.agents)} agent" + ("s" if len(crew.agents) != 1 else "")
    yield Finding("ok", "agents", f"{NEIGHBOUR} has {count}; loaded with the workflows beside it")


def _qdrant(settings: "Settings") -> Iterator[Finding]:
    if settings.qdrant_url is not None:
        yield _reachable("qdrant", "QDRANT_URL", settings.qdrant_url, 6333)


def _memory(settings: "Settings") -> Iterator[Finding]:
    """Look at what is remembered, if there is anything; nothing is created."""
    import asyncio

    from stretto.cli.memories import FOLDER, has_memory, open_memory

    place = settings.qdrant_url or str(settings.home / FOLDER)
    found_by = f"words and {settings.embedder}" if settings.embedder else "words"
    if not has_memory(settings):
        told = f"{place} will be created when something is remembered, to be found by {found_by}"
        yield Finding("ok", "memory", told)
        return

    async def count() -> int:
        async with open_memory(settings) as memory:
            return (await memory.stats()).items

    try:
        yield Finding("ok", "memory", f"{place} has {asyncio.run(count()):,} items, by {found_by}")
    except MemoryFault as fault:
        level: Level = "warn" if fault.code == "memory_locked" else "fail"
        yield Finding(level, "memory", fault.message)


def _redis(settings: "Settings") -> Iterator[Finding]:
    if (url := settings.redis_url) is None:
        return
    import asyncio

    async def opened() -> None:
        from stretto.agents.shared import open_shared

        async with open_shared(url):
            pass

    asyncio.run(opened())
    yield Finding("ok", "redis", "it answers; circuit breakers and agents' state are in it")


def _reachable(about: str, variable: str, url: str, port: int) -> Finding:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or port
    except ValueError:
        host = ""
    if not host:
        return Finding("fail", about, f"{variable} is no URL with a host")
    try:
        socket.create_connection((host, port), TIMEOUT).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        message = f"{host}:{port} cannot be reached ({why}); start it or unset {variable}"
        return Finding("fail", about, message)
    return Finding("ok", about, f"{host}:{port} takes connections")
