"""An engine opens models as its settings say, and sees at the start whether they can be reached."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stretto import Engine, Step, Workflow
from stretto.agents.agent import OpenModel, PreparedAgent, Task
from stretto.agents.llm import LLMAgent
from stretto.agents.models.reachable import why_unreachable
from stretto.config import ModelSettings, Settings
from stretto.engine import readiness
from stretto.errors import ConfigurationError
from stretto.forbidding import FORBID
from stretto.testing import FakeAgent
from tests.fakes.openai_server import openai_server

NAME = "openai:tiny-1"
ASK = Workflow(name="ask", steps=(Step(id="ask", agent="writer"),))
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "openai_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def closed() -> Iterator[str]:
    """The URL of a port that is taken, but where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def writer(name: str = "writer", model: str = NAME, **more: Any) -> LLMAgent:
    return LLMAgent(name, "Hi.", model, **more)


def deployed(home: Path, url: str, *agents: Any) -> Engine:
    own = ModelSettings(api_key=SecretStr("key-of-settings"), base_url=url)
    return Engine(agents or [writer()], home=home, settings=Settings(models={NAME: own}))


def workflow(**step: Any) -> Workflow:
    return Workflow.model_validate({"name": "w", "steps": [{"id": "ask", **step}]})


async def test_a_run_that_goes_on_elsewhere_opens_its_models_by_the_settings(
    tmp_path: Path,
) -> None:
    steps = [
        {"id": "may", "approval": {"message": "Go on?"}},
        {"id": "ask", "agent": "writer", "depends_on": ["may"]},
    ]
    flow = Workflow.model_validate({"name": "w", "steps": steps})
    async with openai_server() as server:
        async with deployed(tmp_path, server.base_url) as engine:
            waiting = await engine.run(flow)
        async with deployed(tmp_path, server.base_url) as engine:
            result = await (await engine.resume(waiting.run_id, "approve")).result()
    assert (result.status, result.output["text"]) == ("completed", "Hello there.")
    assert server.authorizations == ["bearer key-of-settings"]


async def test_an_endpoint_where_nobody_listens_is_told_before_the_run(
    tmp_path: Path, closed: str
) -> None:
    async with deployed(tmp_path, closed) as engine:
        with pytest.raises(ConfigurationError) as refused:
            await engine.start(ASK, run_id="mine")
        assert await engine.runs() == []
    assert f"the model endpoint {closed} cannot be reached (" in refused.value.message
    assert "base_url" in refused.value.message


async def test_an_endpoint_that_was_reached_is_not_tried_again(tmp_path: Path) -> None:
    async with openai_server() as server:
        async with deployed(tmp_path, server.base_url) as engine:
            for _ in range(3):
                assert (await engine.run(ASK)).status == "completed"
    assert (len(server.calls), server.connections) == (3, 1 + 3)


async def test_an_endpoint_that_was_away_is_tried_again(tmp_path: Path) -> None:
    async with openai_server() as server:
        url = server.base_url
    async with deployed(tmp_path, url) as engine:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="cannot be reached"):
                await engine.start(ASK)


@pytest.mark.parametrize(
    "step",
    [
        {"agent": "writer", "on_error": "continue"},
        {"agent": "writer", "on_error": {"fallback": "-"}},
        {"agent": "writer", "on_error": {"agent": "other"}},
        {"capability": "analysis"},
        {"agent": "second"},
    ],
)
async def test_what_something_stands_in_for_need_not_be_there(
    step: dict[str, Any], tmp_path: Path, closed: str
) -> None:
    able = {"analysis"}
    agents = (
        FakeAgent("other", "done", capabilities=able),
        writer(capabilities=able),
        writer("second", fallback_models=("offline",)),
    )
    async with deployed(tmp_path, closed, *agents) as engine:
        assert (await engine.run(workflow(**step))).status == "completed"


async def test_a_run_that_goes_on_does_not_mind_an_endpoint_that_is_away(
    tmp_path: Path, closed: str
) -> None:
    async with openai_server(status=503) as server:
        async with deployed(tmp_path, server.base_url) as engine:
            failed = await engine.run(ASK)
    async with deployed(tmp_path, closed) as engine:
        again = await (await engine.retry(failed.run_id)).result()
    assert (failed.status, again.status) == ("failed", "failed")


async def test_what_goes_through_a_proxy_or_is_forbidden_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    assert await why_unreachable(closed) is not None
    monkeypatch.setenv(FORBID, "1")
    assert await why_unreachable("http://model.invalid/v1") is None
    for name in ("HTTP_PROXY", "ALL_PROXY", "OPENAI_PROXY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "http://proxy.invalid")
            assert await why_unreachable(closed) is None
            patch.setenv("NO_PROXY", "127.0.0.1")
            assert (await why_unreachable(closed) is None) is (name == "OPENAI_PROXY")


@pytest.mark.allow_model_calls  # none is made: the name leads nowhere
async def test_a_host_that_does_not_exist_is_told_with_its_url() -> None:
    told = await why_unreachable("http://me:secret@no-such-host.invalid/v1")
    assert told is not None
    assert "endpoint http://no-such-host.invalid/v1 cannot be reached (" in told


async def test_what_is_prepared_is_forgotten_with_the_oldest_workflows(tmp_path: Path) -> None:
    times: list[int] = []

    class Counted(PreparedAgent):
        name = "counted"

        async def prepare(self, open_model: OpenModel | None = None) -> None:
            times.append(1)

        async def run(self, task: Task) -> None: ...

    def flow(number: int) -> Workflow:
        return Workflow(name=f"w{number}", steps=(Step(id="a", agent="counted"),))

    async with Engine([Counted()], home=tmp_path, settings=Settings()) as engine:
        room = engine._room  # pyright: ignore[reportPrivateUsage]
        assert room is not None
        ready = room.launcher.readiness
        for number in range(readiness.MAX_GRAPHS + 1):
            await ready.prepare(ready.pin(flow(number)))
        await ready.prepare(ready.pin(flow(1)))
        assert len(times) == readiness.MAX_GRAPHS + 1
        await ready.prepare(ready.pin(flow(0)))
        assert len(times) == readiness.MAX_GRAPHS + 2
