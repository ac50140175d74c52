"""The memory agent, and whose memory a call sees."""

from collections.abc import AsyncIterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from stretto.agents.calling import call
from stretto.agents.recall.agent import MemoryAgent
from stretto.agents.recall.asking import words_of
from stretto.agents.recall.scoping import narrowed, scope_of
from stretto.agents.task import Task
from stretto.errors import MemoryFault, StepFailed
from stretto.memory.item import Scope
from stretto.memory.recollection import Memory
from tests.fakes.holding import held

ANN = Scope(tenant="acme", user="ann", workflow="w", thread="t")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with Memory(tmp_path / "memory") as opened:
        yield opened


class Calls:
    """Calls the memory agent, and keeps what it tells."""

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def __call__(
        self, action: str | None, scope: Scope = ANN, input: Any = None, **params: Any
    ) -> dict[str, Any]:
        task = Task(
            action,
            params,
            input=input,
            run_id="r",
            step_id="s",
            idempotency_key="r/s",
            scope=scope,
            host_memory=self.memory,
            notify=lambda kind, data: self.told.append((kind, data)),
        )
        given: dict[str, Any] = await call(MemoryAgent(), task)
        return given


@pytest.fixture
def ask(memory: Memory) -> Calls:
    return Calls(memory)


async def test_what_one_step_remembers_another_one_recalls(ask: Calls) -> None:
    kept = await ask("remember", text="The renewal is due in May.", subject="ACC-7")
    found = await ask("recall", query="renewal")
    assert (kept["remembered"], kept["degraded"]) == (1, None)
    assert found["found"] == 1
    item = found["items"][0]
    assert (item["id"], item["text"]) == (kept["ids"][0], "The renewal is due in May.")
    assert (item["kind"], item["subject"]) == ("fact", "ACC-7")
    assert item["source"] == {"run_id": "r", "node": "s"}
    assert 0 < item["score"] <= 1
    assert item["date"].endswith("+00:00")
    assert "The renewal is due in May." in found["text"]


async def test_without_an_action_the_input_is_what_is_looked_for(ask: Calls) -> None:
    await ask("remember", text="Ann likes tea.")
    found = await ask(None, input={"question": "tea?", "count": 3})
    assert (found["query"], found["found"]) == ("tea? 3", 1)


async def test_facts_share_what_is_said_of_all_of_them(ask: Calls) -> None:
    facts = ["Ann likes tea.", {"text": "Ann lives in Rome.", "key": "city", "importance": 0.9}]
    kept = await ask("remember", facts=facts, subject="ann", importance=0.2)
    found = await ask("recall", query="Ann", subject="ann")
    assert kept["remembered"] == found["found"] == 2
    assert {item.get("key") for item in found["items"]} == {None, "city"}


async def test_a_fact_with_a_key_takes_the_place_of_the_one_before(ask: Calls) -> None:
    await ask("remember", text="Ann lives in Rome.", key="ann.city")
    await ask("remember", text="Ann lives in Oslo.", key="ann.city")
    found = await ask("recall", query="where does Ann live")
    assert [item["text"] for item in found["items"]] == ["Ann lives in Oslo."]


async def test_turns_are_remembered_once_under_the_name_of_their_conversation(ask: Calls) -> None:
    turns = [{"author": "ann", "text": "I like tea."}, {"author": "bot", "text": "So noted."}]
    first = await ask("remember", turns=turns, id="c1")
    again = await ask("remember", turns=turns, id="c1")
    found = await ask("recall", query="tea", neighbours=0)
    assert first["episode"] == again["episode"] is not None
    said = [item["text"] for item in found["items"] if item["kind"] == "message"]
    assert said == ["I like tea.", "So noted."]


async def test_a_step_that_runs_again_remembers_nothing_twice(ask: Calls, memory: Memory) -> None:
    first = await ask("remember", text="Ann likes tea.")
    again = await ask("remember", text="Ann likes tea.")
    item = await memory.get(first["ids"][0])
    assert first["ids"] == again["ids"]
    assert item is not None
    assert item.seen_count == 1


@pytest.mark.parametrize(
    "other",
    [Scope(tenant="acme", user="bob"), Scope(tenant="other", user="ann"), Scope(user="bob")],
)
async def test_nobody_else_recalls_or_forgets_it(ask: Calls, other: Scope) -> None:
    kept = await ask("remember", text="Ann likes tea.", subject="ann")
    assert (await ask("recall", other, query="tea"))["found"] == 0
    for named in ({"ids": kept["ids"]}, {"subject": "ann"}, {"run": "r"}):
        assert (await ask("forget", other, **named))["count"] == 0
    assert (await ask("recall", query="tea"))["found"] == 1


async def test_other_workflows_and_conversations_of_the_same_person_know_it(ask: Calls) -> None:
    await ask("remember", text="Ann likes tea.")
    elsewhere = Scope(tenant="acme", user="ann", workflow="other", thread="other")
    assert (await ask("recall", elsewhere, query="tea"))["found"] == 1


async def test_what_is_forgotten_is_gone(ask: Calls) -> None:
    await ask("remember", text="Ann likes tea.", subject="ann")
    receipt = await ask("forget", subject="ann")
    assert (receipt["count"], receipt["degraded"]) == (1, None)
    assert (await ask("recall", query="tea"))["found"] == 0


@pytest.mark.parametrize(
    ("action", "params", "told"),
    [
        ("recall", {"query": "x", "kind": "fact"}, "no param 'kind'"),
        ("recall", {"query": "x", "k": 0}, "param 'k'"),
        ("recall", {"query": "x", "kinds": ["dream"]}, "param 'kinds.0'"),
        ("recall", {"query": "x", "since": "yesterday"}, "param 'since'"),
        ("remember", {"text": " "}, "nothing to remember"),
        ("remember", {"facts": []}, "nothing to remember"),
        ("remember", {"facts": ["x"], "text": "y"}, "facts and a text are both given"),
        ("remember", {"turns": []}, "there are no turns"),
        ("remember", {"turns": [{"text": "x"}], "ttl": 60}, "has turns, and no ttl"),
        ("remember", {"turns": [{"text": "x"}], "text": "y"}, "has turns, and no text"),
        ("remember", {"facts": [{"kind": "fact"}]}, "param 'facts.0.text'"),
        (
            "remember",
            {"facts": [{"text": "x", "sub": "y"}]},
            "no param .facts.0.sub.; there are text, k",
        ),
        ("remember", {"text": "x", "ttl": inf}, "param 'ttl' of the memory agent: .* finite"),
        ("forgt", {"subject": "x"}, "no action 'forgt'; there are recall, remember and forget"),
        ("forget", {}, "say what to forget"),
        ("forget", {"ids": []}, "say what to forget"),
    ],
)
async def test_params_that_do_not_fit_fail_the_step_in_a_sentence(
    ask: Calls, action: str, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(StepFailed, match=told) as failure:
        await ask(action, **params)
    assert (failure.value.code, failure.value.retryable) == ("memory_params", False)


@pytest.mark.parametrize("action", ["recall", "remember", "forget"])
async def test_a_param_cannot_name_the_memory_of_somebody_else(ask: Calls, action: str) -> None:
    params: dict[str, Any] = {"recall": {"query": "x"}, "remember": {"text": "x"}}.get(
        action, {"subject": "x"}
    )
    with pytest.raises(StepFailed, match="user 'bob' is not for a run of user 'ann'") as failure:
        await ask(action, user="bob", **params)
    assert failure.value.code == "memory_scope"


async def test_params_narrow_what_the_run_leaves_open(ask: Calls) -> None:
    await ask("remember", Scope(), text="Ann likes tea.", user="ann")
    assert (await ask("recall", Scope(), query="tea", user="bob"))["found"] == 0
    assert (await ask("recall", Scope(), query="tea", user="ann"))["found"] == 1
    assert (await ask("recall", Scope(), query="tea"))["found"] == 1


async def test_a_memory_that_is_bound_to_a_tenant_shows_no_other(tmp_path: Path) -> None:
    async with Memory(tmp_path / "memory", scope=Scope(tenant="acme")) as memory:
        ask = Calls(memory)
        scope = scope_of({"tenant": "other"}).within(memory.scope)
        assert scope.tenant == "acme"
        await ask("remember", Scope(tenant="other"), text="Ann likes tea.")
        assert (await ask("recall", Scope(tenant="acme"), query="tea"))["found"] == 1
        with pytest.raises(StepFailed, match="memory of tenant 'other'"):
            await ask("recall", Scope(tenant="other"), query="tea", tenant="other")


async def test_without_memory_the_step_goes_on_and_tells_it_once() -> None:
    ask = Calls(None)
    assert (await ask("recall", query="tea"))["items"] == []
    assert [kind for kind, _ in ask.told] == ["memory_degraded"]
    assert (await ask("remember", text="Ann likes tea."))["remembered"] == 0
    assert "Engine(memory=...)" in (await ask("forget", subject="x"))["degraded"]


async def test_a_memory_that_another_process_has_degrades_or_raises(tmp_path: Path) -> None:
    with held(tmp_path / "memory") as other:
        async with Memory(tmp_path / "memory") as second:
            ask = Calls(second)
            found = await ask("recall", query="tea")
            assert found["items"] == []
            assert str(other) in found["degraded"]
            assert [kind for kind, _ in ask.told] == ["memory_degraded"]
            assert (await ask("remember", text="x"))["degraded"] == found["degraded"]
        async with Memory(tmp_path / "memory", on_error="raise") as strict:
            for action in ("recall", "remember"):
                with pytest.raises(MemoryFault) as fault:
                    await Calls(strict)(action, input="tea")
                assert fault.value.code == "memory_locked"


@pytest.mark.parametrize(
    ("context", "scope"),
    [
        ({}, Scope()),
        ({"tenant": "acme", "user": "ann"}, Scope("acme", "ann")),
        ({"tenant_id": 7, "user_id": "ann"}, Scope("7", "ann")),
        ({"user": {"id": "u-1", "name": "Ann"}}, Scope(user="u-1")),
        ({"user": None, "user_id": "ann"}, Scope(user="ann")),
        ({"user": "", "tenant": {}}, Scope()),
        ({"user": {"name": "Ann"}}, Scope(user='{"name":"Ann"}')),
    ],
)
def test_a_context_says_on_whose_behalf_a_run_is(context: dict[str, Any], scope: Scope) -> None:
    assert scope_of(context) == scope


def test_a_scope_is_narrowed_and_never_changed() -> None:
    scope = Scope(tenant="acme")
    assert narrowed(scope, {"user": 5, "thread": None, "query": "x"}) == Scope("acme", "5")
    assert narrowed(scope, {"tenant": "acme"}) == scope
    for other in ({"tenant": "other"}, {"user": ""}, {"user": {"id": ""}}):
        with pytest.raises(StepFailed) as failure:
            narrowed(scope, other)
        assert failure.value.code == "memory_scope"


def test_the_words_of_data_are_its_texts_and_figures() -> None:
    assert words_of({"a": ["one", {"b": 2}], "c": None, "d": True, "e": " two \n"}) == "one 2 two"
    assert words_of("tea") == "tea"


@pytest.mark.parametrize("nobody", [{"tenant": ""}, {"user": {}}, {"tenant": "a", "user_id": ""}])
async def test_a_context_that_names_nobody_sees_nobodys_memory(
    memory: Memory, nobody: dict[str, Any]
) -> None:
    task = Task("recall", {}, context=nobody, scope=scope_of(nobody), host_memory=memory)
    with pytest.raises(StepFailed, match="name somebody, or leave it out") as refused:
        _ = task.memory
    assert refused.value.code == "memory_scope"


@pytest.mark.parametrize("given", [{"tenant": None}, {"tenant": "", "tenant_id": "acme"}, {}])
async def test_what_a_context_leaves_out_is_not_refused(
    memory: Memory, given: dict[str, Any]
) -> None:
    task = Task("recall", {}, context=given, scope=scope_of(given), host_memory=memory)
    assert task.memory is not None
    assert task.memory.scope == Scope(tenant=given.get("tenant_id"))
