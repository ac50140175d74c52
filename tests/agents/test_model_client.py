"""The connection to a model's service: bounded, its own for every call, through the proxy."""

import asyncio

import pytest

from stretto.agents.models import open_model
from stretto.errors import ConfigurationError, StepFailed
from tests.fakes.openai_server import openai_server


async def test_a_model_serves_one_event_loop_after_another() -> None:
    async with openai_server(keep_alive=True) as server:
        model = open_model("openai:tiny-1", api_key="key-1", base_url=server.base_url)

        async def ask() -> str:
            return (await model.ainvoke("Hi.")).text

        said = [await asyncio.to_thread(asyncio.run, ask()) for _ in range(2)]
    assert said == ["Hello there."] * 2


async def test_an_answer_that_calls_itself_unencoded_in_its_own_way_is_read() -> None:
    async with openai_server(headers={"content-encoding": "Identity"}) as server:
        model = open_model("openai:tiny-1", api_key="key-1", base_url=server.base_url)
        assert (await model.ainvoke("Hi.")).text == "Hello there."


async def test_an_answer_in_an_encoding_nobody_asked_for_is_refused() -> None:
    async with openai_server(headers={"content-encoding": "gzip"}) as server:
        model = open_model("openai:tiny-1", api_key="key-1", base_url=server.base_url)
        with pytest.raises(StepFailed, match=r"encoded as 'gzip', which was not") as failure:
            await model.ainvoke("Hi.")
    assert (failure.value.code, failure.value.retryable) == ("bad_answer", False)


@pytest.mark.allow_model_calls  # it goes to a proxy of ours
async def test_the_proxy_for_openai_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with openai_server() as proxy:
        monkeypatch.setenv("OPENAI_PROXY", proxy.base_url)
        model = open_model("openai:tiny-1", api_key="key-1", base_url="http://model.invalid/v1")
        assert (await model.ainvoke("Hi.")).text == "Hello there."


@pytest.mark.parametrize("base_url", ["localhost:8000/v1", "ftp://me:secret@host/v1", "http://[::"])
def test_what_cannot_be_an_address_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_BASE_URL.*has to look like") as refused:
        open_model("openai:tiny-1", api_key="key-1", base_url=base_url)
    assert "secret" not in str(refused.value)
