"""What stands for the state of an agent that keeps none."""

from collections.abc import Iterator, MutableMapping
from typing import Any, NoReturn

from stretto.errors import ConfigurationError


class Undeclared(MutableMapping[str, Any]):
    """The state of an agent that did not declare that it keeps one; every use is refused."""

    def __getitem__(self, key: str) -> Any:
        """Refuse to read."""
        _refuse()

    def __setitem__(self, key: str, value: Any) -> None:
        """Refuse to write."""
        _refuse()

    def __delitem__(self, key: str) -> None:
        """Refuse to delete."""
        _refuse()

    def __iter__(self) -> Iterator[str]:
        """Refuse to list what is there."""
        _refuse()

    def __len__(self) -> int:
        """Refuse to count what is there."""
        _refuse()

    def __hash__(self) -> int:
        """Hash by identity, so that it can be the default of a field."""
        return id(self)

    def __reduce__(self) -> str:
        """Be the one that there is in a worker process, too."""
        return "UNDECLARED"


UNDECLARED = Undeclared()


def _refuse() -> NoReturn:
    raise ConfigurationError(
        "task.state is kept for agents that say so: write @agent(stateful=True), or "
        "'stateful = True' in the agent's class; a call in plain code brings Task(state={})"
    )
