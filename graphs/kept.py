"""What an agent keeps from call to call: read before an attempt, saved once it succeeded."""

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from langgraph.store.base import BaseStore, PutOp, SearchItem, SearchOp

from stretto.agents.human import Asked
from stretto.errors import StepFailed

if TYPE_CHECKING:
    from stretto.graphs.call import StepCall

NAMESPACE = "stretto", "agents"
MOST_KEYS = 1000
"""Keys of one agent's state: all of it is read before every call."""
SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""Integers that every store can hold."""
MOST_LEVELS = 200
"""Lists and mappings within each other: what every store can hold."""


class Kept:
    """The state of one agent in one attempt."""

    def __init__(self, store: BaseStore, agent: str) -> None:
        """Keep the state of an agent in ``store``; ``read`` comes first."""
        self.state: dict[str, Any] = {}
        """What the agent is given, and may change."""
        self._store, self._agent = store, agent
        # Stores separate the parts of a namespace by dots.
        name = agent.replace("%", "%25").replace(".", "%2E").replace("\0", "%00")
        self._namespace = *NAMESPACE, name
        self._before: dict[str, str] = {}
        self._changes: list[PutOp] = []

    async def read(self) -> None:
        """Read what was saved.

        Raises:
            StepFailed: the store failed (``state_unavailable``); it may be tried again.

        """
        try:
            (found,) = await self._store.abatch([SearchOp(self._namespace, limit=MOST_KEYS)])
            for item in cast(list[SearchItem], found):
                if item.namespace == self._namespace:  # and not below it
                    self._before[item.key] = _text(item.value["value"])
        except Exception as error:
            raise self._unavailable("read", error) from error
        self.state.update((key, json.loads(text)) for key, text in self._before.items())

    def seal(self) -> None:
        """Note what is to be saved, as it is now.

        Raises:
            StepFailed: a value or key is no JSON (``not_json``), or there are too many keys
                (``state_too_large``).

        """
        if len(self.state) > MOST_KEYS:
            told = f"agent '{self._agent}' keeps {len(self.state):,} keys in task.state"
            advice = f"{MOST_KEYS:,} are the most; put more into lists or mappings"
            raise StepFailed(f"{told}; {advice}", code="state_too_large")
        after = {key: self._checked(key, value) for key, value in self.state.items()}
        self._changes = [
            PutOp(self._namespace, key, {"value": json.loads(text)}, index=False)
            for key, text in after.items()
            if self._before.get(key) != text
        ]
        gone = self._before.keys() - after.keys()
        self._changes += [PutOp(self._namespace, key, None) for key in sorted(gone)]

    async def save(self) -> None:
        """Save what was noted: all of it or nothing.

        Raises:
            StepFailed: the store failed (``state_unavailable``); it may be tried again.

        """
        if not self._changes:
            return
        try:
            await self._store.abatch(self._changes)
        except Exception as error:
            raise self._unavailable("saved", error) from error

    def _checked(self, key: Any, value: Any) -> str:
        """Write a value as JSON that reads back as the same value."""
        try:
            if not isinstance(key, str):
                raise TypeError("a key is a text")
            key.encode()
            text = _text(value)
            text.encode()
            if json.loads(text, parse_int=_integer) != value:
                raise TypeError("it would be read back as something else")
            if _levels(value) > MOST_LEVELS:
                raise ValueError(f"more than {MOST_LEVELS} levels")
        except (TypeError, ValueError, RecursionError) as error:
            raise StepFailed(
                f"agent '{self._agent}' put something into task.state[{key!r}] that is no JSON "
                f"({error}); keep texts, numbers, booleans, None, lists and mappings by texts",
                code="not_json",
            ) from error
        return text

    def _unavailable(self, done: str, error: Exception) -> StepFailed:
        reason = str(error) or type(error).__name__
        return StepFailed(
            f"the state of agent '{self._agent}' could not be {done}, so the attempt failed: "
            f"{reason}; mend its store, then retry the run",
            code="state_unavailable",
            retryable=True,
        )


@asynccontextmanager
async def keeping(call: "StepCall", agent: str) -> AsyncGenerator[Kept]:
    """Give an attempt the state of its agent, and save it unless the attempt fails.

    The state is saved before the step's output is. When the process dies between the two, the
    step runs again and sees what it saved; its idempotency key is the same then.

    Args:
        call: the step that calls the agent.
        agent: the agent's name.

    Raises:
        StepFailed: the store failed.

    """
    kept = Kept(call.scope.store or call.services.states, agent)
    await kept.read()
    try:
        yield kept
    except Asked:  # the agent is not called again for the answer
        await kept.save()
        raise
    await kept.save()


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _integer(digits: str) -> int:
    number = int(digits)
    if not SMALLEST <= number <= LARGEST:
        raise ValueError("an integer of more than 64 bits")
    return number


def _levels(value: Any) -> int:
    levels, layer = 0, [value]
    while layer := [item for each in layer for item in _items(each)]:
        levels += 1
    return levels


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast(dict[str, Any], value).values()
    return cast(Iterable[Any], value) if isinstance(value, list) else ()
