"""What an agent is, and the task that one call is given."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, overload, runtime_checkable

from stretto.agents.gate import ModelGate
from stretto.agents.pace import Pace
from stretto.agents.undeclared import UNDECLARED
from stretto.agents.usage import Usage

Emit = Callable[[str], None]
"""Publishes one piece of streamed text."""
OpenModel = Callable[[str | None], Any]
"""Opens a chat model by name; None is the deployment's usual one."""
Notify = Callable[[str, dict[str, Any]], None]
"""Publishes what else happens in a call: its kind (``tool_call``, ``reasoning``), its data."""
KNOWN_CAPABILITIES = (
    "data_fetch",
    "analysis",
    "memory",
    "recommendation",
    "coordination",
    "validation",
    "transformation",
    "notification",
)
"""The capabilities with a common meaning; any other word is allowed too."""


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


class Agent:
    """The base of agents written as classes; a subclass says what it can and how it is done.

    The work is in ``run``, or in a method named like the step's action, or in ``execute``; each
    takes the task and may be a coroutine, a plain function (run in a worker thread) or an async
    generator (its text items are streamed).
    """

    name: str = ""
    """How steps call it; the class name when empty."""
    capabilities: frozenset[str] | set[str] = frozenset()
    max_concurrent_tasks: int = 5
    killable: bool = False
    """Whether its plain methods run in a worker process that is killed at the deadline.

    The process has a copy of the agent and of its module: what they keep there is not seen here.
    """
    stateful: bool = False
    """Whether ``task.state`` is kept for it, under its name, by all runs and across restarts.

    A call sees what was saved when it began; the keys that it changed are saved when it succeeded,
    before its step counts as done. Of calls at the same time the last to save a key wins.
    """


class PreparedAgent(Agent):
    """An agent that opens something before its first call; an engine lets it before a run."""

    async def prepare(self, open_model: OpenModel | None = None) -> None:
        """Open what is needed, once.

        Args:
            open_model: opens a chat model by name as the deployment's settings say.

        Raises:
            ConfigurationError: something is not there.

        """
        raise NotImplementedError


@runtime_checkable
class AgentLike(Protocol):
    """What the registry accepts: anything with a name, capabilities and a number of slots."""

    name: str
    capabilities: frozenset[str] | set[str]
    max_concurrent_tasks: int


class FunctionAgent(Agent):
    """An agent that is one function of a task."""

    def __init__(
        self,
        function: Callable[[Task], Any],
        *,
        name: str | None = None,
        capabilities: frozenset[str] | set[str] = frozenset(),
        max_concurrent_tasks: int = 5,
        killable: bool = False,
        stateful: bool = False,
    ) -> None:
        """Wrap ``function``; its own name is the agent's unless ``name`` says otherwise."""
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        self.capabilities = frozenset(capabilities)
        self.max_concurrent_tasks = max_concurrent_tasks
        self.killable = killable
        self.stateful = stateful
        self.__doc__ = function.__doc__

    def __call__(self, task: Task) -> Any:
        """Call the function itself, so a decorated function still works in plain code."""
        return self.function(task)


@overload
def agent(
    function: Callable[[Task], Any],
    /,
    *,
    name: str | None = None,
    capabilities: frozenset[str] | set[str] = frozenset(),
    max_concurrent_tasks: int = 5,
    killable: bool = False,
    stateful: bool = False,
) -> FunctionAgent: ...


@overload
def agent(
    *,
    name: str | None = None,
    capabilities: frozenset[str] | set[str] = frozenset(),
    max_concurrent_tasks: int = 5,
    killable: bool = False,
    stateful: bool = False,
) -> Callable[[Callable[[Task], Any]], FunctionAgent]: ...


def agent(
    function: Callable[[Task], Any] | None = None,
    /,
    *,
    name: str | None = None,
    capabilities: frozenset[str] | set[str] = frozenset(),
    max_concurrent_tasks: int = 5,
    killable: bool = False,
    stateful: bool = False,
) -> FunctionAgent | Callable[[Callable[[Task], Any]], FunctionAgent]:
    """Make a function an agent.

    Args:
        function: the function, when the decorator is used without parentheses.
        name: how steps call it; the function's name if None.
        capabilities: what it can do, for steps that name a capability instead of an agent.
        max_concurrent_tasks: how many of its calls may run at once.
        killable: whether a plain function runs in a worker process, which is killed at the
            deadline; it sees nothing of what this process keeps in its modules.
        stateful: whether ``task.state`` is kept for it, see ``Agent``.

    """

    def wrap(inner: Callable[[Task], Any]) -> FunctionAgent:
        return FunctionAgent(
            inner,
            name=name,
            capabilities=capabilities,
            max_concurrent_tasks=max_concurrent_tasks,
            killable=killable,
            stateful=stateful,
        )

    return wrap if function is None else wrap(function)
