"""A secret of a request is in no file of the engine, in no log and in no result."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stretto import Engine
from tests.fakes.canary import Canary, running
from tests.fakes.players import Players, collect, flow, on_stage, step

SECRET = "canary-7f3a91d2c4"
MARKER = "marker-0b55e1aa98"


@pytest.fixture
async def echo() -> AsyncIterator[Canary]:
    """A server that repeats in all it says what it was told in confidence."""
    told = {"seen": [f"Bearer {SECRET}"], MARKER: 1}
    async with running(Canary()) as server:
        body, kind = json.dumps(told).encode(), "application/json"
        server.answer("/ok", body, content_type=kind, X_Seen=SECRET)
        server.answer("/err", body, 500, content_type=kind, X_Seen=SECRET)
        server.answer("/broken", f"{{ {SECRET}".encode(), content_type=kind)
        server.answer("/away", status=302, location=f"ftp://elsewhere.example/{SECRET}")
        yield server


def holders(home: Path, text: str) -> list[str]:
    """List the files below a folder that hold a text."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if text.encode() in path.read_bytes())


async def run_all(engine: Engine, echo: Canary) -> list[str]:
    """Call the server in every way it has to succeed and to fail; give all that is told of it."""
    http = {"headers": {"Authorization": "Bearer secret://CANARY"}, "allow_private": True}
    steps = [
        {
            "id": name,
            "http": {**http, "url": echo.url(f"/{name}")},
            "on_error": "continue",
            "retry": {"attempts": 2, "delay": 0},
            "cache": {},
        }
        for name in ("ok", "err", "broken", "away")
    ]
    closed = {**http, "url": "http://127.0.0.1:1/"}
    late = {"id": "late", "http": {**http, "url": echo.url("/ok"), "select": "body.nothing"}}
    last = step("last", "ok", params={"gives": {"all": "${ok.body}"}})
    whole = flow(
        *steps, {"id": "closed", "http": closed, "on_error": "continue"}, late, last,
        {"id": "ask", "approval": {"message": "${ok.body.seen[0]}?", "edit": "${ok}"},
         "depends_on": ["ok"]},
    )  # fmt: skip
    waiting = await engine.run(whole)
    result = await engine.result(waiting.run_id)
    assert {error.step for error in result.errors} >= {"err", "broken", "away", "closed", "late"}
    events = await collect(engine.events(waiting.run_id))
    logs = await engine.logs(waiting.run_id)
    return [str(result.to_dict()), *(str(event.to_dict()) for event in events), str(logs)]


async def test_a_secret_never_reaches_state_events_logs_or_errors(
    echo: Canary,
    players: Players,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CANARY", SECRET)
    caplog.set_level(logging.DEBUG)
    async with on_stage(players, tmp_path) as engine:
        told = await run_all(engine, echo)
        assert {r.headers["authorization"] for r in echo.requests} == {f"Bearer {SECRET}"}
        assert holders(tmp_path, SECRET) == []
        assert {name.partition("-")[0] for name in holders(tmp_path, MARKER)} >= {
            "cache.db",
            "checkpoints.db",
        }
    assert holders(tmp_path, SECRET) == []
    assert [text for text in told if SECRET in text] == []
    assert any(MARKER in text for text in told)
    assert SECRET not in caplog.text
