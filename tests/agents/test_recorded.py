"""Calls of a chat model are recorded once and replayed from the file."""

import asyncio
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from stretto.agents.models import open_model
from stretto.agents.models.recorded import NotRecorded, RecordedModel
from stretto.agents.models.recorded.request import request_of
from stretto.errors import ConfigurationError
from tests.fakes.openai_server import openai_server


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def recording(tape: Path, source: str = "offline", **settings: Any) -> BaseChatModel:
    return open_model(f"recorded:{tape}?record={source}", **settings)


def replaying(tape: Path) -> BaseChatModel:
    return open_model(f"recorded:{tape}")


def lookup_owner(account_id: str) -> str:
    """Say who owns an account."""
    return f"owner: Ann of {account_id}"


class Verdict(BaseModel):
    """How an account stands."""

    level: str
    score: float


create_agent: Any = import_module("langchain.agents").create_agent  # its types are half known
ASKED = "Use lookup_owner(account_id=ACC-1).\n<data>\nlevel: high\nscore: 0.5\n</data>"


async def test_a_call_over_http_is_replayed_without_its_server(tape: Path) -> None:
    async with openai_server() as server:
        model = recording(tape, "openai:tiny-1", api_key="key-1", base_url=server.base_url)
        said = await model.ainvoke([SystemMessage("Be kind."), HumanMessage("Hi")])
    again = await replaying(tape).ainvoke([SystemMessage("Be kind."), HumanMessage("Hi")])
    assert again.text == said.text == "Hello there."
    assert again.usage_metadata == said.usage_metadata
    assert again.response_metadata["model_name"] == "tiny-1"
    assert again.response_metadata["recorded"] is True


async def test_a_stream_is_replayed_in_the_pieces_it_came_in(tape: Path) -> None:
    async with openai_server() as server:
        model = recording(tape, "openai:tiny-1", api_key="key-1", base_url=server.base_url)
        said = [piece async for piece in model.astream("Hi")]
    again = [piece async for piece in replaying(tape).astream("Hi")]
    assert [piece.text for piece in again if piece.text] == ["Hello", " there", "."]
    assert [piece.text for piece in again] == [piece.text for piece in said]
    assert [piece.text for piece in replaying(tape).stream("Hi")] == [p.text for p in again]
    usage = [piece.usage_metadata for piece in again if piece.usage_metadata]
    assert [figures["output_tokens"] for figures in usage] == [3]


async def test_neither_key_nor_headers_are_in_the_file(tape: Path) -> None:
    async with openai_server() as server:
        model = recording(
            tape,
            "openai:tiny-1",
            api_key="key-hidden",
            base_url=server.base_url,
            headers={"X-Team": "team-hidden"},
        )
        await model.ainvoke("Hi")
    assert server.authorizations == ["bearer key-hidden"]
    assert "Hello there." in tape.read_text()
    assert "hidden" not in tape.read_text()


def test_what_was_invoked_can_be_streamed_and_the_other_way_round(tape: Path) -> None:
    model = recording(tape)
    told = model.invoke("One fact.").text
    streamed = "".join(piece.text for piece in model.stream("Another fact."))
    again = replaying(tape)
    assert "".join(piece.text for piece in again.stream("One fact.")) == told
    assert again.invoke("Another fact.").text == streamed


def test_the_same_question_is_answered_in_the_recorded_order_then_as_the_last_time(
    tape: Path,
) -> None:
    model = recording(tape)
    for _ in range(3):
        model.invoke("Hi")
    entries = [json.loads(line) for line in tape.read_text().splitlines()]
    for number, entry in enumerate(entries):
        entry["answer"][0]["data"]["content"] = f"answer {number}"
    tape.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    again = replaying(tape)
    told = [again.invoke("Hi").text for _ in range(4)]
    assert told == ["answer 0", "answer 1", "answer 2", "answer 2"]


def test_an_agent_with_a_tool_and_a_schema_runs_the_same_from_the_file(tape: Path) -> None:
    def run(model: BaseChatModel) -> dict[str, Any]:
        agent = create_agent(model, [lookup_owner], response_format=Verdict)
        return dict(agent.invoke({"messages": [HumanMessage(ASKED)]}))

    first, again = run(recording(tape)), run(replaying(tape))
    assert first["structured_response"] == Verdict(level="high", score=0.5)
    assert again["structured_response"] == first["structured_response"]
    results = [m.text for m in again["messages"] if isinstance(m, ToolMessage)]
    assert results[0] == "owner: Ann of ACC-1"


def test_a_schema_is_filled_from_the_file(tape: Path) -> None:
    asked = "<data>\nlevel: low\nscore: 0.25\n</data>"
    recording(tape).with_structured_output(Verdict).invoke(asked)
    again = replaying(tape).with_structured_output(Verdict).invoke(asked)
    assert again == Verdict(level="low", score=0.25)


def test_what_differs_from_run_to_run_does_not_count() -> None:
    def talk(call: str, message: str) -> list[Any]:
        ask = {"name": "f", "args": {"a": 1}, "id": call, "type": "tool_call"}
        return [
            HumanMessage([{"type": "text", "text": "Hi", "id": message}], id=message),
            AIMessage("", tool_calls=[ask], id=message, response_metadata={"at": message}),
            ToolMessage("1", tool_call_id=call, id=message),
        ]

    one = request_of("m", talk("call-1", "a"), {"temperature": 1, "tools": [lookup_owner, Verdict]})
    other = request_of("m", talk("call-2", "b"), {"tools": [Verdict, lookup_owner]})
    assert one.key == other.key


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [lookup_owner]},
        {"tool_choice": "any"},
        {"response_format": {"type": "json_object"}},
        {"response_format": Verdict},
    ],
)
def test_what_decides_the_answer_counts(options: dict[str, Any]) -> None:
    assert request_of("m", [HumanMessage("Hi")], options) != request_of(
        "m", [HumanMessage("Hi")], {}
    )
    assert request_of("m", [HumanMessage("Hi")], options) == request_of(
        "m", [HumanMessage("Hi")], dict(options)
    )


def test_a_miss_shows_the_nearest_call_and_what_differs(tape: Path) -> None:
    model = recording(tape)
    model.invoke("Something else entirely.")
    model.invoke("The hall holds 300 people.\nIt was built in 1912.")
    with pytest.raises(NotRecorded) as failed:
        replaying(tape).invoke("The hall holds 300 people.\nIt was built in 1913.")
    assert (failed.value.code, failed.value.retryable) == ("not_recorded", False)
    message = failed.value.message
    assert f"not recorded in {tape}. The nearest of 2 is in line 2, 92% alike:" in message
    assert "\n-It was built in 1912.\n+It was built in 1913.\n" in message
    assert "-[human]" not in message
    assert f"'recorded:{tape}?record=offline'" in message


def test_a_long_difference_is_cut(tape: Path) -> None:
    recording(tape).invoke("Hi")
    with pytest.raises(NotRecorded) as failed:
        replaying(tape).invoke("\n".join(["word " * 90] * 90))
    lines = failed.value.message.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines[1:-1])) <= 160
    assert any(line.startswith("… and ") for line in lines)


async def test_many_record_into_one_file_at_once(tape: Path) -> None:
    models = [recording(tape) for _ in range(4)]
    texts = [f"Fact {number}. " + "é\u2028 word " * 3000 for number in range(12)]
    await asyncio.gather(
        *(model.ainvoke(text) for model, text in zip(models * 3, texts, strict=True))
    )
    again = replaying(tape)
    assert len(tape.read_text(encoding="utf-8").split("\n")) == 13
    offline = open_model("offline")
    assert [again.invoke(text).text for text in texts] == [
        offline.invoke(text).text for text in texts
    ]


async def test_a_stream_that_is_left_early_is_not_recorded(tape: Path) -> None:
    stream = recording(tape).stream("One fact. Another fact.")
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined]
    assert tape.read_text() == ""


def test_a_text_that_utf8_cannot_hold_is_recorded_too(tape: Path) -> None:
    recording(tape).invoke("Odd \ud800 text.")
    assert replaying(tape).invoke("Odd \ud800 text.").text == "Odd \ud800 text."


def test_calls_of_several_models_are_told_apart(tape: Path) -> None:
    recording(tape).invoke("Hi")
    recording(tape, "offline:1").invoke("Hi")
    with pytest.raises(ConfigurationError, match=r"several models \(offline, offline:1\)"):
        replaying(tape)
    model = open_model(f"recorded:{tape}?model=offline:1")
    assert isinstance(model, RecordedModel)
    assert model.invoke("Hi").text == "Hi"
    with pytest.raises(ConfigurationError, match="holds no call of the model 'nobody'"):
        open_model(f"recorded:{tape}?model=nobody")


@pytest.mark.parametrize(
    ("found", "put", "reason"),
    [
        ("}]}", "", "this is no recorded call"),
        (".*", "[1]", "this is no recorded call"),
        (".*", '{"request": {"model": "m"}, "answer": []}', "this is no recorded call"),
        (".*", '{"request": {"model": "m", "messages": [1]}}', "this is no recorded call"),
        ('"Hi"', '"Ho"', "the call was changed after it was recorded"),
    ],
)
def test_a_broken_line_is_refused_at_opening_with_its_number(
    tape: Path, found: str, put: str, reason: str
) -> None:
    model = recording(tape)
    model.invoke("Hello")
    model.invoke("Hi")
    first, second = tape.read_text().splitlines()
    tape.write_text(f"{first}\n{re.sub(found, put, second, count=1)}\n")
    with pytest.raises(ConfigurationError) as failed:
        replaying(tape)
    assert str(failed.value).startswith(f"{tape}, line 2: {reason}; ")


def test_a_file_that_is_not_there_says_how_to_record_it(tape: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*\?record=NAME'"):
        replaying(tape)


def test_a_file_that_cannot_be_used_is_refused_at_opening(tmp_path: Path, tape: Path) -> None:
    tape.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        replaying(tape)
    tape.write_bytes(b"\n")
    with pytest.raises(ConfigurationError, match="holds no call; record one first"):
        replaying(tape)
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        recording(tmp_path)


def test_the_source_is_opened_at_opening(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        recording(tape, "openai:tiny-1")
    assert not tape.exists()


@pytest.mark.parametrize("place", ["", "?record=offline", "f?record=", "f?play=offline", "f?"])
def test_a_name_that_says_no_file_or_no_model_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError, match="write 'recorded:FILE'"):
        open_model(f"recorded:{place}")


def test_a_call_behind_half_a_line_stands_on_a_line_of_its_own(tape: Path) -> None:
    recording(tape).invoke("Hello")
    whole = tape.read_text()
    tape.write_text(whole + whole[:99])  # whoever wrote was stopped
    recording(tape).invoke("Hi")
    with pytest.raises(ConfigurationError, match="line 2: this is no recorded call"):
        replaying(tape)
    first, _, last = tape.read_text().splitlines()
    tape.write_text(f"{first}\n{last}\n")
    assert replaying(tape).invoke("Hi").text == "Hi"
