import re
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI

from stretto.agents.models import DEFAULT_OPENAI_MODEL, open_model
from stretto.agents.models.offline import OfflineModel, count_tokens, extract_answer
from stretto.errors import ConfigurationError

SETTINGS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "STRETTO_MODEL")
REQUEST = """Write a note on the account.

<data>
## Summary
Kestrel Foods is at high risk.

## What stands out
- The last contact was 90 days ago.
- It is so.
- 30 of 120 seats are in use.
- Two urgent tickets are open since 2026-05-01.
- It was so and it is so.
- Revenue shrank by 12% in 2026.

## Next steps
1. Call them.
2. Fix the tickets.
3. Review.
4. Renew.
5. Grow.
</data>"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    yield


def test_without_a_key_the_model_is_offline() -> None:
    assert isinstance(open_model(), OfflineModel)
    assert isinstance(open_model("offline"), OfflineModel)


def test_with_a_key_the_default_is_an_openai_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-1")
    model = open_model()
    assert isinstance(model, ChatOpenAI)
    assert model.model_name == DEFAULT_OPENAI_MODEL


def test_the_environment_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-1")
    monkeypatch.setenv("STRETTO_MODEL", "offline")
    assert isinstance(open_model(), OfflineModel)


def test_an_openai_model_has_a_deadline_and_no_retries_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    model = open_model("openai:tiny-1", temperature=0.5, max_tokens=9)
    assert isinstance(model, ChatOpenAI)
    assert (model.model_name, model.openai_api_base) == ("tiny-1", "http://127.0.0.1:9/v1")
    assert (model.request_timeout, model.max_retries) == (60.0, 0)
    assert (model.temperature, model.max_tokens) == (0.5, 9)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        open_model("openai:tiny-1")


def test_the_key_is_in_no_description_of_the_model() -> None:
    assert "key-1" not in repr(open_model("openai:tiny-1", api_key="key-1"))


def test_openai_without_a_model_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no name after 'openai:'"):
        open_model("openai:", api_key="key-1")


def test_an_unknown_model_says_what_is_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"no model 'nonsense:tiny'.*'openai:NAME'"):
        open_model("nonsense:tiny")


def test_the_offline_answer_keeps_the_most_telling_lines_and_all_steps() -> None:
    assert extract_answer(REQUEST) == (
        "Kestrel Foods is at high risk.\n\n"
        "**What stands out**\n"
        "- The last contact was 90 days ago.\n"
        "- 30 of 120 seats are in use.\n"
        "- Two urgent tickets are open since 2026-05-01.\n"
        "- Revenue shrank by 12% in 2026.\n\n"
        "**Next steps**\n1. Call them.\n2. Fix the tickets.\n3. Review.\n4. Renew.\n5. Grow."
    )


def test_a_request_without_data_is_answered_from_its_own_sentences() -> None:
    request = "The hall holds 300 people. It is. It is so. The roof was built in 1912. So it is."
    answer = extract_answer(request)
    assert answer.startswith("The hall holds 300 people.")
    assert "The roof was built in 1912." in answer
    assert len(re.findall(r"\.", answer)) == 4


def test_an_empty_request_gets_an_honest_answer() -> None:
    assert extract_answer("<data>\n</data>") == "There is nothing in the request to answer from."


async def test_the_offline_stream_comes_word_by_word_and_ends_with_its_metadata() -> None:
    chunks = [chunk async for chunk in OfflineModel().astream([HumanMessage(REQUEST)])]
    words = [chunk.text for chunk in chunks if chunk.text]
    assert "".join(words) == extract_answer(REQUEST)
    assert all(len(word.split()) == 1 for word in words)
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    facts = whole.response_metadata
    assert (facts["model_name"], facts["offline"], facts["finish_reason"]) == (
        "offline",
        True,
        "stop",
    )
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == count_tokens(extract_answer(REQUEST))


async def test_streaming_and_a_single_call_agree() -> None:
    model = OfflineModel()
    single = await model.ainvoke([HumanMessage(REQUEST)])
    streamed = "".join([chunk.text for chunk in model.stream([HumanMessage(REQUEST)])])
    assert single.text == streamed
    assert single.usage_metadata == {
        "input_tokens": count_tokens(REQUEST),
        "output_tokens": count_tokens(streamed),
        "total_tokens": count_tokens(REQUEST) + count_tokens(streamed),
    }


def test_tokens_are_words_and_marks() -> None:
    assert count_tokens("Well, 2 words.") == 5


async def test_a_paced_offline_model_gives_the_same_words_one_by_one() -> None:
    model = open_model("offline:1")
    chunks = [chunk.text async for chunk in model.astream("One fact. Another fact.")]
    assert "".join(chunks) == open_model("offline").invoke("One fact. Another fact.").text
    assert len(chunks) > 2


@pytest.mark.parametrize("name", ["offline:fast", "offline:-1", "offline:1001"])
def test_a_pace_that_is_no_number_of_milliseconds_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="milliseconds between two words"):
        open_model(name)
