"""The memory agent: what is known from earlier runs and conversations, and what to keep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stretto.agents.agent import Agent
from stretto.agents.recall.asking import words_of
from stretto.agents.recall.degrading import ABSENT, or_without
from stretto.agents.recall.forms import recollection_form
from stretto.agents.recall.params import (
    Fact,
    ForgetParams,
    RecallParams,
    RememberParams,
    read_params,
)
from stretto.agents.recall.scoping import narrowed
from stretto.agents.task import Task
from stretto.errors import StepFailed
from stretto.memory.item import Scope

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory

COMMON = tuple(Fact.model_fields.keys() - {"text"})
ONLY_OF_FACTS = ("text", "facts", *(set(COMMON) - {"at", "subject"}))
ACTIONS = "recall, remember and forget"
NOTHING = "give text, facts or turns, one of them and not empty"


class MemoryAgent(Agent):
    """Recalls, remembers and forgets, for the tenant and user of the run that asks."""

    name = "memory"
    capabilities = frozenset({"memory"})
    max_concurrent_tasks = 8

    async def recall(self, task: Task) -> dict[str, Any]:
        """Find what bears on a question.

        Args:
            task: see ``RecallParams``; the query is the input where ``params`` has none.

        Returns:
            ``query``, ``items`` (``id``, ``text``, ``date``, ``kind``, ``score``, ``source``),
            ``text`` (lines for a prompt), ``found``, ``tokens``, and ``degraded``: why memory
            could not be used, or None.

        Raises:
            StepFailed: a param is unknown or does not fit (``memory_params``), or asks for the
                memory of somebody else (``memory_scope``).

        """
        params = read_params(RecallParams, task.params)
        query = words_of(task.input) if params.query is None else params.query
        if (memory := task.memory) is None:
            return recollection_form(query, None, _absent(task))
        scope = narrowed(memory.scope, task.params)
        work = memory.recall(query, scope=scope, **params.arguments())
        found, reason = await or_without(task, memory, work)
        reason = found.degraded if found else reason
        return recollection_form(query, found, reason, params.explain)

    async def run(self, task: Task) -> dict[str, Any]:
        """Recall, where a step names no action.

        Raises:
            StepFailed: it names one that there is not (``memory_params``), or see ``recall``.

        """
        if task.action not in (None, "run", "execute"):  # not to recall what was to be forgotten
            told = f"the memory agent has no action '{task.action}'; there are {ACTIONS}"
            raise StepFailed(told, code="memory_params")
        return await self.recall(task)

    async def remember(self, task: Task) -> dict[str, Any]:
        """Keep something: a text, several facts, or the turns of a conversation.

        Args:
            task: see ``RememberParams``; the text is the input where ``params`` has nothing.

        Returns:
            ``remembered`` (how many), ``ids``, ``episode`` (of turns) and ``degraded``.

        Raises:
            StepFailed: a param is unknown or does not fit (``memory_params``), or asks for the
                memory of somebody else (``memory_scope``).

        """
        params = read_params(RememberParams, task.params)
        if (memory := task.memory) is None:
            return _remembered((), None, _absent(task))
        scope = narrowed(memory.scope, task.params)
        if params.turns is not None:
            return await _keep_turns(task, memory, params, scope)
        facts = _facts(params, task.input)
        items, reason = await or_without(task, memory, _keep(memory, facts, scope))
        return _remembered([item.id for item in items or ()], None, reason)

    async def forget(self, task: Task) -> dict[str, Any]:
        """Let go of what the run's tenant and user have.

        Args:
            task: see ``ForgetParams``.

        Returns:
            The receipt: ``count``, ``ids_hash``, ``at``, ``purged``, ``what``; and ``degraded``.

        Raises:
            StepFailed: nothing is named, a param does not fit (``memory_params``), or it names
                the memory of somebody else (``memory_scope``).

        """
        params = read_params(ForgetParams, task.params)
        named = params.given("ids", "subject", "run")
        if not any(named.values()):
            message = "say what to forget: ids, subject or run"
            raise StepFailed(message, code="memory_params")
        if (memory := task.memory) is None:
            return {"count": 0, "degraded": _absent(task)}
        scope = narrowed(memory.scope, task.params)
        work = memory.forget(scope=scope, purge=params.purge, **named)
        receipt, reason = await or_without(task, memory, work)
        return {**(receipt.to_dict() if receipt else {"count": 0}), "degraded": reason}


async def _keep_turns(
    task: Task, memory: "Memory", params: RememberParams, scope: Scope
) -> dict[str, Any]:
    only = sorted(name for name in ONLY_OF_FACTS if getattr(params, name) is not None)
    if only or not params.turns:
        message = f"a conversation has turns, and no {only[0]}" if only else "there are no turns"
        raise StepFailed(f"{message}; {NOTHING}", code="memory_params")
    turns = [turn.model_dump(exclude_none=True) for turn in params.turns]
    more = params.given("at", "subject")
    name = params.id or task.idempotency_key or None
    work = memory.remember_conversation(turns, id=name, scope=scope, **more)
    episode, reason = await or_without(task, memory, work)
    if episode is None:
        return _remembered((), None, reason)
    return {**_remembered((), episode.id, None), "remembered": len(turns)}


async def _keep(memory: "Memory", facts: list[Fact], scope: Scope) -> Any:
    from stretto.memory.recollection import NewItem

    given = [fact.model_dump(exclude_unset=True) for fact in facts]
    return await memory.remember_many([NewItem(scope=scope, **fact) for fact in given])


def _facts(params: RememberParams, given: Any) -> list[Fact]:
    """List what is to be kept; what a fact does not say itself holds as for all of them."""
    common = {name: value for name, value in params.given(*COMMON).items() if value is not None}
    listed = params.facts
    if listed is not None and params.text is not None:
        raise StepFailed(f"facts and a text are both given; {NOTHING}", code="memory_params")
    if listed is None:
        listed = [words_of(given) if params.text is None else params.text]
    texts = [fact if isinstance(fact, str) else fact.text for fact in listed]
    if not texts or not all(text.strip() for text in texts):
        raise StepFailed(f"there is nothing to remember; {NOTHING}", code="memory_params")
    facts = [Fact(text=fact) if isinstance(fact, str) else fact for fact in listed]
    return [fact.model_copy(update=_left_open(fact, common)) for fact in facts]


def _left_open(fact: Fact, common: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in common.items() if name not in fact.model_fields_set}


def _remembered(ids: Sequence[str], episode: str | None, reason: str | None) -> dict[str, Any]:
    return {"remembered": len(ids), "ids": [*ids], "episode": episode, "degraded": reason}


def _absent(task: Task) -> str:
    task.degraded(ABSENT)
    return ABSENT
