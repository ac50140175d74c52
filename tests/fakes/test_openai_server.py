"""The server that the other tests lean on does what they ask of it."""

import asyncio
from typing import Any

import httpx2
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from stretto.agents.models import open_model
from tests.fakes.answers import Answer
from tests.fakes.openai_server import OpenAIServer, openai_server

ASKED: dict[str, Any] = {"model": "tiny-1", "messages": [{"role": "user", "content": "Hi."}]}
SCHEMA = {"title": "Place", "type": "object", "properties": {"city": {"type": "string"}}}


def model_of(server: OpenAIServer) -> BaseChatModel:
    return open_model("openai:tiny-1", api_key="key-1", base_url=server.base_url)


async def post(server: OpenAIServer, **asked: Any) -> httpx2.Response:
    headers = {"authorization": "Bearer key-1"}
    async with httpx2.AsyncClient(timeout=20) as client:
        url = f"{server.base_url}/chat/completions"
        return await client.post(url, json={**ASKED, **asked}, headers=headers)


async def test_calls_get_the_answers_in_order_and_the_last_one_repeats() -> None:
    async with openai_server(Answer(status=503), Answer(pieces=("one",)), Answer()) as server:
        answers = [await post(server) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 200, 200, 200]
    said = [answer.json()["choices"][0]["message"]["content"] for answer in answers[1:]]
    assert said == ["one", "Hello there.", "Hello there."]
    assert (len(server.requests), server.authorizations[0]) == (4, "bearer key-1")


@pytest.mark.parametrize("keep_alive", [False, True])
async def test_connections_stay_open_when_that_is_asked_for(keep_alive: bool) -> None:
    headers = {"authorization": "Bearer key-1"}
    async with openai_server(keep_alive=keep_alive) as server:
        async with httpx2.AsyncClient(headers=headers) as client:
            for stream in (True, False, True):
                answer = await client.post(server.base_url, json={**ASKED, "stream": stream})
                assert answer.text.endswith("data: [DONE]\n\n") is stream
    assert server.connections == (1 if keep_alive else 3)


@pytest.mark.parametrize("stream", [True, False])
async def test_tools_are_called_until_their_result_is_there(stream: bool) -> None:
    call = ("look_up", '{"city": "Paris", "days": [1, 2]}')
    async with openai_server(tool_calls=(call,)) as server:
        model = model_of(server)
        model.disable_streaming = not stream
        asked = HumanMessage("Hi.")
        called = await whole(model, asked)
        assert [(c["name"], c["args"]) for c in called.tool_calls] == [
            ("look_up", {"city": "Paris", "days": [1, 2]})
        ]
        done = ToolMessage("fine", tool_call_id=called.tool_calls[0]["id"])
        answered = await whole(model, asked, called, done)
    assert (answered.text, answered.tool_calls) == ("Hello there.", [])


async def whole(model: BaseChatModel, *messages: Any) -> AIMessage:
    answer: Any = None
    async for chunk in model.astream(list(messages)):
        answer = chunk if answer is None else answer + chunk
    assert isinstance(answer, AIMessage)
    return answer


@pytest.mark.parametrize(
    "answer",
    [Answer(pieces=('{"city": ', '"Paris"}')), Answer(tool_calls=(("Place", '{"city":"Paris"}'),))],
)
async def test_structured_output_comes_as_text_or_as_a_tool_call(answer: Answer) -> None:
    method: Any = "function_calling" if answer.tool_calls else "json_schema"
    async with openai_server(answer) as server:
        structured = model_of(server).with_structured_output(SCHEMA, method=method)
        assert await structured.ainvoke("Where?") == {"city": "Paris"}


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_a_client_that_leaves_is_noticed(fault: Any) -> None:
    async with openai_server(fault=fault, midway=True) as server:
        asking = asyncio.create_task(post(server, stream=True))
        while not server.calls:
            await asyncio.sleep(0)
        asking.cancel()
        async with asyncio.timeout(20):
            await server.calls[0].client_left.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_the_end_of_the_server_ends_what_hangs() -> None:
    async with openai_server(fault="hang") as server:
        asking = asyncio.create_task(post(server))
        while not server.calls:
            await asyncio.sleep(0)
    with pytest.raises(httpx2.TransportError):
        await asking


async def test_vectors_have_the_words_of_their_text_in_common() -> None:
    async with openai_server(dims=64) as server, httpx2.AsyncClient(timeout=20) as client:
        asked = {"model": "tiny-2", "input": ["red ink", "ink red", "paper"]}
        headers = {"authorization": "Bearer key-1"}
        answer = await client.post(f"{server.base_url}/embeddings", json=asked, headers=headers)
    vectors = [each["embedding"] for each in answer.json()["data"]]
    assert [len(vector) for vector in vectors] == [64] * 3
    assert vectors[0] == vectors[1] != vectors[2]
