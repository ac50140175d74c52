"""The task that one call of an agent is given."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from stretto.agents.gate import ModelGate
from stretto.agents.pace import Pace
from stretto.agents.recall.scoping import check_named, whose
from stretto.agents.undeclared import UNDECLARED
from stretto.agents.usage import Usage
from stretto.memory.item import EVERYTHING, Scope, Source

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory

Emit = Callable[[str], None]
"""Publishes one piece of streamed text."""
Notify = Callable[[str, dict[str, Any]], None]
"""Publishes what else happens in a call: its kind (``tool_call``, ``reasoning``), its data."""


def discard(*said: Any) -> None:
    """Publish to nobody."""


@dataclass(frozen=True)
class Task(Mapping[str, Any]):
    """What one call of an agent is given; it also reads like a mapping of its fields."""

    action: str | None = None
    """Which method or prompt of the agent is wanted."""
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The step's params, with every reference resolved."""
    input: Any = None
    """The output of ``input_from``, or the outputs of all needs by step id."""
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The outputs of everything the step needs, by step id."""
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The workflow's context with the caller's merged over it."""
    run_id: str = ""
    step_id: str = ""
    attempt: int = 1
    """Which try of this call this is, from 1."""
    messages: tuple[Any, ...] = ()
    """The conversation so far."""
    idempotency_key: str = ""
    """The same for every try of this call, also after a crash, for services that take one."""
    state: MutableMapping[str, Any] = field(default=UNDECLARED, repr=False, compare=False)
    """What the agent keeps from call to call, as JSON data, if it is ``stateful``."""
    scope: Scope = EVERYTHING
    """On whose behalf the call is made, and where: tenant, user, workflow, thread."""
    usage: Usage = field(default_factory=Usage)
    """Where a model agent adds what its calls cost."""
    publish: Emit = field(default=discard, repr=False)
    """Publishes streamed text without waiting; ``emit`` is the door for agents."""
    notify: Notify = field(default=discard, repr=False)
    """Publishes what is no text of the answer: reasoning, tool calls, a fresh start."""
    gate: ModelGate = field(default_factory=ModelGate, repr=False, compare=False)
    """What every call of a model has to pass."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What the agent tells of how it worked: its model, its prompt; it goes into the events."""
    host_memory: "Memory | None" = field(default=None, repr=False, compare=False)
    """The memory of the engine; ``memory`` is what this call may see of it."""
    pace: Pace = field(default_factory=Pace, repr=False, compare=False)

    FIELDS: ClassVar[tuple[str, ...]] = (
        "action",
        "params",
        "input",
        "inputs",
        "context",
        "run_id",
        "step_id",
        "attempt",
        "messages",
        "idempotency_key",
    )

    @cached_property
    def memory(self) -> "Memory | None":
        """What outlives a run: all of the call's tenant and user, or None where there is none."""
        step = self.idempotency_key.removeprefix(f"{self.run_id}/")
        return self.memory_of(whose(self.scope), Source(self.run_id or None, step or None))

    def memory_of(self, scope: Scope, source: Source | None = None) -> "Memory | None":
        """Give the memory of a scope of an agent's own choice, or None where there is none.

        Args:
            scope: whose; what the host's memory is bound to holds.
            source: where things come from that are remembered without saying so.

        Raises:
            StepFailed: the run's context has a tenant or user who is nobody (``memory_scope``).

        """
        if (memory := self.host_memory) is None:
            return None
        check_named(self.context)
        return memory.within(scope, source, self.degraded)

    def degraded(self, reason: str) -> None:
        """Tell, once in this call, that it goes on without memory, and why."""
        if not self._reasons:
            self._reasons.append(reason)
            self.notify("memory_degraded", {"reason": reason})

    @cached_property
    def _reasons(self) -> list[str]:
        return []

    async def emit(self, text: str) -> None:
        """Stream one piece of text to whoever watches the run."""
        self.publish(text)
        await self.pace.step()

    def values_for(self, names: Iterable[str]) -> dict[str, Any]:
        """Give what a prompt asks for by name: a param, or a field as a whole, if it is there."""
        known = {
            "input": self.input,
            "inputs": self.inputs,
            "context": self.context,
            "params": self.params,
            **self.params,
        }
        return {name: known[name] for name in names if name in known}

    def __getitem__(self, key: str) -> Any:
        """Read a field by name, so ``task["context"]`` works."""
        if key not in self.FIELDS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the field names."""
        return iter(self.FIELDS)

    def __len__(self) -> int:
        """Count the fields."""
        return len(self.FIELDS)
