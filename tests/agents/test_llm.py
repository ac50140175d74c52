from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from stretto.agents.agent import Task
from stretto.agents.calling import call
from stretto.agents.llm import LLMAgent
from stretto.agents.models import open_model
from stretto.errors import ConfigurationError, StepFailed
from tests.fakes.openai_server import OpenAIServer, openai_server


def model_of(server: OpenAIServer) -> BaseChatModel:
    return open_model("openai:tiny-1", api_key="key-1", base_url=server.base_url)


async def ask(server: OpenAIServer, task: Task) -> dict[str, Any]:
    answer: dict[str, Any] = await call(LLMAgent("say", "Say {{word}}.", model_of(server)), task)
    return answer


async def test_an_answer_is_streamed_counted_and_given_back_whole() -> None:
    pieces: list[str] = []
    task = Task(params={"word": "hi & bye"}, publish=pieces.append)
    async with openai_server() as server:
        answer = await ask(server, task)
    assert answer == {"text": "Hello there.", "model": "tiny-1", "offline": False}
    assert pieces == ["Hello", " there", "."]
    assert (task.usage.calls, task.usage.input_tokens, task.usage.output_tokens) == (1, 7, 3)
    assert [m["content"] for m in server.requests[0]["messages"]] == ["Say hi & bye."]
    assert server.authorizations == ["bearer key-1"]


async def test_the_conversation_goes_before_the_prompt() -> None:
    task = Task(params={"word": "it"}, messages=(HumanMessage("first"), AIMessage("second")))
    async with openai_server() as server:
        await ask(server, task)
    said = [(m["role"], m["content"]) for m in server.requests[0]["messages"]]
    assert said == [("user", "first"), ("assistant", "second"), ("user", "Say it.")]


@pytest.mark.parametrize(
    ("finish_reason", "code", "retryable"),
    [
        ("length", "truncated_answer", False),
        ("content_filter", "filtered_answer", False),
        (None, "truncated_answer", True),
    ],
)
async def test_an_incomplete_answer_is_refused(
    finish_reason: str | None, code: str, retryable: bool
) -> None:
    task = Task(params={"word": "hi"})
    async with openai_server(finish_reason=finish_reason) as server:
        with pytest.raises(StepFailed) as failure:
            await ask(server, task)
    assert (failure.value.code, failure.value.retryable) == (code, retryable)
    assert task.usage.calls == 1


async def test_tokens_of_a_refused_answer_are_counted() -> None:
    task = Task(params={"word": "hi"})
    async with openai_server(finish_reason="length") as server:
        with pytest.raises(StepFailed):
            await ask(server, task)
    assert task.usage.tokens == 10


async def test_an_answer_without_text_is_refused_and_may_be_tried_again() -> None:
    async with openai_server(pieces=(" ",)) as server:
        with pytest.raises(StepFailed) as failure:
            await ask(server, Task(params={"word": "hi"}))
    assert (failure.value.code, failure.value.retryable) == ("empty_answer", True)


async def test_a_rate_limit_is_told_after_a_single_call() -> None:
    async with openai_server(status=429) as server:
        with pytest.raises(StepFailed) as failure:
            await ask(server, Task(params={"word": "hi"}))
    assert (failure.value.code, failure.value.retryable) == ("rate_limited", True)
    assert len(server.requests) == 1


async def test_a_model_that_never_says_why_it_ended_is_believed() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("fine so far")]))
    answer = await LLMAgent("say", "Go on.", model).run(Task())
    assert answer["text"] == "fine so far"
    assert answer["offline"] is False


async def test_the_prompt_sees_input_inputs_and_context() -> None:
    text = "{{input.a}} {{inputs}} {{context.tone}} {{params.b}}"
    model = GenericFakeChatModel(messages=iter([AIMessage("ok")]))
    agent = LLMAgent("say", text, model)
    task = Task(input={"a": 1}, inputs={"s": [2]}, context={"tone": "dry"}, params={"b": 3})
    assert set(agent.values(task)) == {"input", "inputs", "context", "params"}
    assert (await agent.run(task))["text"] == "ok"


async def test_a_param_that_the_prompt_needs_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match="prompt 'say' needs 'word'"):
        await LLMAgent("say", "Say {{word}}.", "offline").run(Task())


async def test_the_offline_model_says_that_it_is_offline() -> None:
    answer = await LLMAgent("say", "{{word}} is a word.", "offline").run(
        Task(params={"word": "So"})
    )
    assert answer == {"text": "So is a word.", "model": "offline", "offline": True}
