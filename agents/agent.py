"""What an agent is: a function of a task, or a class."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, overload, runtime_checkable

from stretto.agents.skills import skills
from stretto.agents.task import Emit, Notify, Task, discard

__all__ = ["Agent", "AgentLike", "Emit", "FunctionAgent", "KNOWN_CAPABILITIES", "Notify"]
__all__ += ["OpenModel", "PreparedAgent", "Task", "agent", "discard"]
OpenModel = Callable[[str | None], Any]
"""Opens a chat model by name; None is the deployment's usual one."""
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
    no_actions: ClassVar[frozenset[str]] = frozenset()
    """The methods that a base class has for its own work: no step can ask for them as actions."""


class PreparedAgent(Agent):
    """An agent that opens something before its first call; an engine lets it before a run."""

    no_actions = Agent.no_actions | {"prepare"}

    async def prepare(self, open_model: OpenModel | None = None) -> None:
        """Open what is needed, once.

        Args:
            open_model: opens a chat model by name as the deployment's settings say.

        Raises:
            ConfigurationError: something is not there.

        """
        raise NotImplementedError

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URLs of the services it may ask once it is prepared; empty where none is known."""
        return ()


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
        capabilities: Iterable[str] = frozenset(),
        max_concurrent_tasks: int = 5,
        killable: bool = False,
        stateful: bool = False,
    ) -> None:
        """Wrap ``function``; its own name is the agent's unless ``name`` says otherwise."""
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        self.capabilities = skills(capabilities, self.name)
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
