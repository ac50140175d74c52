import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from stretto.agents.models import (
    DEFAULT_OPENAI_MODEL,
    chosen_model,
    open_configured,
    open_model,
)
from stretto.agents.models.known import know_model
from stretto.agents.models.offline import OfflineModel, count_tokens, extract_answer
from stretto.config import ModelSettings, Settings
from stretto.errors import ConfigurationError
from tests.fakes.openai_server import openai_server

pytestmark = pytest.mark.allow_model_calls  # models of real services are opened, never called

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


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("antropic:claude", "anthropic"), ("ofline", "offline"), ("opnai:gpt-4.1", "openai")],
)
def test_an_unknown_model_says_what_is_possible(name: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        open_model(name)
    message = str(failed.value)
    assert message.startswith(f"There is no model '{name}'. Did you mean '{nearest}'? ")
    assert "'openai:NAME'" in message
    assert "anthropic, " in message


def test_a_name_that_is_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(ConfigurationError, match=r"no model 'zzz:tiny'\. Possible are 'offline'"):
        open_model("zzz:tiny")


def test_a_missing_provider_package_is_named() -> None:
    with pytest.raises(ConfigurationError, match="run 'pip install langchain-cohere'"):
        open_model("cohere:command-r")


def test_another_provider_names_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="'azure_openai:tiny'.*AZURE_OPENAI_API_KEY"):
        open_model("azure_openai:tiny")


def test_a_setting_that_a_provider_refuses_is_told_without_the_key() -> None:
    with pytest.raises(
        ConfigurationError, match="cannot be opened: Value error, .*azure"
    ) as failed:
        open_model("azure_openai:tiny", api_key="key-hidden", base_url="https://host/v1")
    assert "hidden" not in str(failed.value)


PROVIDER = """
from langchain_core.language_models import FakeListChatModel
from pydantic import SecretStr

class ChatUpstage(FakeListChatModel):
    model: str
    max_retries: int
    responses: list[str] = ["hello"]
    upstage_api_key: SecretStr | None = None

    def __init__(self, **given):
        if given["model"] == "fussy":
            raise ValueError(f"400 INVALID_ARGUMENT: {given}")
        super().__init__(**given)

    @property
    def lc_secrets(self):
        return {"upstage_api_key": "UPSTAGE_API_KEY"}
"""


@pytest.fixture
def lazy_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's package that would notice a missing key only when called."""
    (tmp_path / "langchain_upstage.py").write_text(PROVIDER)
    monkeypatch.syspath_prepend(tmp_path)  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.delenv("UPSTAGE_API_KEY", raising=False)


@pytest.mark.usefixtures("lazy_provider")
def test_a_key_that_a_provider_would_miss_at_its_first_call_is_missed_at_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="'upstage:solar' needs a key: set UPSTAGE_API"):
        open_model("upstage:solar")
    monkeypatch.setenv("UPSTAGE_API_KEY", "key-1")
    assert open_model("upstage:solar").invoke("Hi").text == "hello"


@pytest.mark.usefixtures("lazy_provider")
def test_headers_for_a_provider_that_takes_none_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPSTAGE_API_KEY", "key-1")
    with pytest.raises(ConfigurationError, match="takes no headers"):
        open_model("upstage:solar", headers={"X-Team": "a"})


@pytest.mark.usefixtures("lazy_provider")
def test_an_address_for_a_provider_that_would_ignore_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPSTAGE_API_KEY", "key-1")
    with pytest.raises(ConfigurationError, match="takes no base_url; remove it"):
        open_model("upstage:solar", base_url="http://127.0.0.1:9/v1")


@pytest.mark.usefixtures("lazy_provider")
def test_what_a_provider_says_is_told_without_secrets_and_its_codes_are_no_variables() -> None:
    with pytest.raises(ConfigurationError) as failed:
        open_model("upstage:fussy", api_key="key-hidden", headers={"X-Team": "Bearer team-hidden"})
    assert "cannot be opened: 400 INVALID_ARGUMENT: {" in failed.value.message
    assert "'api_key': '***'" in failed.value.message
    assert "hidden" not in failed.value.message


@pytest.mark.usefixtures("lazy_provider")
def test_a_model_that_nobody_named_is_known_by_its_whole_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UPSTAGE_API_KEY", "key-1")
    monkeypatch.setenv("STRETTO_MODEL", "upstage:solar")
    known = know_model(None)
    assert (known.name, known.called) == ("solar", "upstage:solar")
    recording = know_model(f"recorded:{tmp_path / 'calls'}?record=upstage:solar")
    assert recording.called == "upstage:solar"


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "http://h:x/"])
def test_an_address_that_is_none_is_refused_at_opening(address: str) -> None:
    with pytest.raises(ConfigurationError, match="has to look like 'https://host/v1'"):
        open_model("openai:tiny-1", api_key="key-1", base_url=address)


def test_a_broken_address_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(ConfigurationError, match="has to look like .* not 'localhost:8000'"):
        open_model("openai:tiny-1", api_key="key-1")


@pytest.mark.parametrize(
    "given", [{"api_key": "key\n"}, {"api_key": "k", "headers": {"X-Team": "a\r\nb"}}]
)
def test_what_no_header_may_carry_is_refused_unseen(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no header may carry") as failed:
        open_model("openai:tiny-1", **given)
    assert "key\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("gpt-4.1", "openai:gpt-4.1"), (" offline ", "offline"), ("groq:gpt-x", "groq:gpt-x")],
)
def test_a_name_has_one_form(name: str, chosen: str) -> None:
    assert chosen_model(name) == chosen


async def test_a_configured_model_sends_what_its_section_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAM_KEY", "key-2")
    async with openai_server() as server:
        own = ModelSettings(
            base_url=server.base_url, api_key=SecretStr("secret://TEAM_KEY"), max_tokens=9
        )
        settings = Settings(
            openai_api_key=SecretStr("key-1"),
            models={"openai:tiny-1": own, "*": ModelSettings(temperature=0.5, max_tokens=5)},
        )
        answer = await open_configured("openai:tiny-1", settings).ainvoke("Hi")
    assert answer.text == "Hello there."
    assert server.authorizations == ["bearer key-2"]
    asked = server.requests[0]
    assert (asked["max_completion_tokens"], asked["temperature"]) == (9, 0.5)


def test_a_configured_model_has_its_headers_and_its_deadline() -> None:
    own = ModelSettings(headers={"X-Team": "Bearer secret://TEAM"}, timeout=5)
    settings = Settings(openai_api_key=SecretStr("key-1"), models={"openai:tiny-1": own})
    model = open_configured("openai:tiny-1", settings, {"TEAM": "t-1"}.__getitem__)
    assert isinstance(model, ChatOpenAI)
    assert (model.default_headers, model.request_timeout) == ({"X-Team": "Bearer t-1"}, 5.0)


def test_a_configured_model_without_its_secret_names_it() -> None:
    own = ModelSettings(api_key=SecretStr("secret://NOBODYS_KEY"))
    with pytest.raises(ConfigurationError, match="the secret NOBODYS_KEY is not set"):
        open_configured("openai:tiny-1", Settings(models={"openai:tiny-1": own}))


@pytest.mark.usefixtures("lazy_provider")
def test_the_key_for_openai_is_given_to_nobody_else() -> None:
    settings = Settings(openai_api_key=SecretStr("key-1"))
    with pytest.raises(ConfigurationError, match="needs a key: set UPSTAGE_API_KEY"):
        open_configured("upstage:solar", settings)


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


@pytest.mark.parametrize(
    "name", ["offline:fast", "offline:-1", "offline:1001", "offline:" + 5000 * "1"]
)
def test_a_pace_that_is_no_number_of_milliseconds_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="milliseconds between two words"):
        open_model(name)
