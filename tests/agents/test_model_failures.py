"""What is said when a model cannot be asked, or when its answer is of no use."""

import asyncio
import re
import socket
from importlib import import_module
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.tools import tool
from pydantic import BaseModel

from stretto.agents.models import open_model
from stretto.agents.models.failures import ModelFailed, model_failures, translated
from stretto.agents.models.toolcalls import refuse_broken_calls
from stretto.errors import BudgetExceeded
from tests.fakes.answers import Answer
from tests.fakes.openai_server import OpenAIServer, openai_server

KEY = "key-1"


class Place(BaseModel):
    city: str


def model_of(server: OpenAIServer, **settings: Any) -> BaseChatModel:
    return open_model("openai:tiny-1", api_key=KEY, base_url=server.base_url, **settings)


async def failure_of(model: BaseChatModel) -> ModelFailed:
    with pytest.raises(ModelFailed) as failure, model_failures(model):
        async for _ in model.astream("Hi."):
            pass
    return failure.value


async def failure_with(**settings: Any) -> ModelFailed:
    async with openai_server(**settings) as server:
        return await failure_of(model_of(server))


async def test_a_service_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with_password = url.replace("//", "//user:secret@")
    failure = await failure_of(open_model("openai:tiny-1", api_key=KEY, base_url=with_password))
    assert (failure.code, failure.retryable) == ("model_unavailable", True)
    assert failure.message == f"The connection to {url} failed: All connection attempts failed"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_by_the_name_of_its_variable(status: int) -> None:
    async with openai_server(status=status) as server:
        failure = await failure_of(model_of(server))
    where = f"The key was refused by {server.base_url} (status {status}: no, bearer ***)"
    assert failure.message == f"{where}; set OPENAI_API_KEY to one it accepts."
    assert (failure.code, failure.retryable) == ("model_unauthorized", False)


async def test_a_header_that_the_service_repeats_is_hidden() -> None:
    error = {"message": "no tenant for token hush-42"}
    async with openai_server(status=422, error=error) as server:
        headers = {"x-token": "Token hush-42", "x-tier": "5"}
        failure = await failure_of(model_of(server, headers=headers))
    assert "status 422: no tenant for token ***" in failure.message


async def test_a_failure_keeps_the_status_and_the_wait_the_service_asks_for() -> None:
    failure = await failure_with(status=503, headers={"retry-after": "7"})
    assert (failure.status_code, failure.retry_after) == (503, 7.0)
    failure = await failure_with(status=404)
    assert (failure.status_code, failure.retry_after) == (404, None)


async def test_the_words_of_a_service_are_quoted_on_one_line_and_not_endlessly() -> None:
    failure = await failure_with(status=422, error={"message": "too\n  long " * 1000})
    assert "422: too long too long" in failure.message
    assert len(failure.message) < 500
    assert re.fullmatch(".*", failure.message)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limited", True),
        ({"code": None, "type": "overloaded_error"}, "model_unavailable", True),
        ({"code": None, "type": "server_error"}, "model_unavailable", True),
        ({"code": 17, "type": None}, "model_unavailable", True),
        ({"code": None, "type": "invalid_request_error"}, "model_rejected", False),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, "model_unauthorized", False),
        ({"code": "429"}, "rate_limited", True),
    ],
)
@pytest.mark.parametrize("streams", [True, False])
async def test_an_error_inside_an_answer_is_judged_by_its_words(
    error: dict[str, Any], code: str, retryable: bool, streams: bool
) -> None:
    async with openai_server(status=500, midway=True, error=error) as server:
        model = model_of(server)
        model.disable_streaming = not streams
        failure = await failure_of(model)
    assert (failure.code, failure.retryable) == (code, retryable)


async def test_a_quota_that_is_used_up_is_not_asked_again() -> None:
    failure = await failure_with(status=429, error={"code": "insufficient_quota"})
    assert (failure.code, failure.retryable) == ("rate_limited", False)


@pytest.mark.parametrize("midway", [False, True])
async def test_a_silent_service_is_left_after_the_time_the_model_has(midway: bool) -> None:
    async with openai_server(fault="hang", midway=midway) as server:
        failure = await failure_of(model_of(server, timeout=0.2))
    assert (failure.code, failure.retryable) == ("model_timed_out", True)
    assert failure.message == f"{server.base_url} did not answer in time."


@pytest.mark.parametrize(
    ("finish_reason", "code"),
    [("length", "truncated_answer"), ("content_filter", "filtered_answer")],
)
async def test_a_structured_answer_that_is_not_whole_is_refused(
    finish_reason: str, code: str
) -> None:
    cut = Answer(pieces=('{"city": "Par',), finish_reason=finish_reason)
    async with openai_server(cut) as server:
        model = model_of(server)
        structured: Any = model.with_structured_output(Place, method="json_schema")
        with pytest.raises(ModelFailed) as failure, model_failures(model):
            await structured.ainvoke("Where?")
    assert (failure.value.code, failure.value.retryable) == (code, False)


async def test_a_structured_answer_of_another_shape_cannot_be_read() -> None:
    async with openai_server(pieces=('{"town": "Paris"}',)) as server:
        model = model_of(server)
        structured: Any = model.with_structured_output(Place, method="json_schema")
        with pytest.raises(ModelFailed) as failure, model_failures(model):
            await structured.ainvoke("Where?")
    assert (failure.value.code, failure.value.retryable) == ("bad_answer", True)


@pytest.mark.parametrize(
    "error", [RuntimeError("its own"), BudgetExceeded("spent"), asyncio.CancelledError()]
)
def test_what_is_no_failure_of_the_model_passes_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, model_failures(open_model("offline")):
        raise error
    assert raised.value is error


def test_causes_that_go_round_in_a_circle_come_to_an_end() -> None:
    failed, cause = ConnectionError("no route"), OSError("cable cut")
    failed.__cause__, cause.__cause__ = cause, failed
    failure = translated(failed, open_model("offline"))
    assert failure is not None
    assert failure.message.endswith("failed: cable cut")


def test_a_model_of_an_unknown_place_is_called_a_service() -> None:
    model = GenericFakeChatModel(messages=iter(()))
    with pytest.raises(ModelFailed) as failure, model_failures(model):
        raise ConnectionError("gone")
    assert failure.value.message == "The connection to the model's service failed: gone"


def calling(arguments: str) -> AIMessageChunk:
    call = tool_call_chunk(name="look_up", args=arguments, id="1", index=0)
    return AIMessageChunk(content="", tool_call_chunks=[call])


@pytest.mark.parametrize("arguments", ['{"city": "Par', "[1]", "{city}", '"x"'])
def test_a_tool_call_is_refused_unless_its_arguments_are_an_object(arguments: str) -> None:
    with pytest.raises(ModelFailed, match="'look_up' with arguments that are no JSON") as failure:
        refuse_broken_calls(calling(arguments))
    assert (failure.value.code, failure.value.retryable) == ("bad_answer", True)


@pytest.mark.parametrize("arguments", ['{"city": "Paris"}', "{}", ""])
def test_a_tool_call_with_an_object_is_fine(arguments: str) -> None:
    refuse_broken_calls(calling(arguments))
    refuse_broken_calls(AIMessage("no call at all"))


async def cities_looked_up(model: BaseChatModel, found: list[str]) -> None:
    """Run an agent of LangChain that streams and has a tool, which notes what it is called with."""

    @tool
    async def look_up(city: str) -> str:
        """Look a city up."""
        found.append(city)
        return city

    create_agent: Any = import_module("langchain.agents").create_agent  # its types are partial
    agent = create_agent(model, [look_up])
    async for _ in agent.astream({"messages": "Hi."}, stream_mode="messages"):
        pass


@pytest.mark.parametrize("midway", [False, True], ids=["broken", "cut"])
async def test_an_agent_calls_no_tool_with_half_of_its_arguments(midway: bool) -> None:
    found: list[str] = []
    async with openai_server(fault="malformed_arguments", midway=midway) as server:
        with pytest.raises(ModelFailed) as failure:
            await cities_looked_up(model_of(server), found)
    assert (failure.value.code, found) == ("bad_answer", [])


async def test_an_agent_calls_its_tools_with_what_was_streamed() -> None:
    found: list[str] = []
    calls = (("look_up", '{"city": "Paris"}'), ("look_up", '{"city": "Rome"}'))
    async with openai_server(tool_calls=calls) as server:
        await cities_looked_up(model_of(server), found)
    assert (sorted(found), len(server.calls)) == (["Paris", "Rome"], 2)
