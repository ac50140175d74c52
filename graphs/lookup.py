"""What the expressions of a region can see, looked up when it is used."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from stretto.graphs.activation import Activation
from stretto.graphs.expressions import Names


def visible_names(activation: Activation) -> Names:
    """Give what expressions of a region can see; values are looked up when used."""
    return Names(
        roots=activation.frame.roots, outputs=Outputs(activation), steps=StepFacts(activation)
    )


class _Lookup(Mapping[str, Any]):
    """A mapping over everything visible in a region, computed key by key."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    def __iter__(self) -> Iterator[str]:
        activation = self._activation
        names = [*activation.futures, *activation.aliases]
        return iter(dict.fromkeys([*names, *self._outer()]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @abstractmethod
    def _outer(self) -> Mapping[str, Any]: ...


class Outputs(_Lookup):
    """Outputs by step id and ``output_to``; a loop's earlier round stands in until a step ends."""

    def _outer(self) -> Mapping[str, Any]:
        return self._activation.frame.outputs

    def __getitem__(self, name: str) -> Any:
        activation = self._activation
        step = activation.aliases.get(name, name)
        if step not in activation.futures:
            return activation.frame.outputs[name]
        outcome = activation.ended(step)
        if outcome is None:
            return (activation.state.get("outputs") or {})[step]
        if not outcome.completed:
            raise KeyError(name)
        return outcome.output


class StepFacts(_Lookup):
    """How steps went: status, error, attempts and duration by step id."""

    def _outer(self) -> Mapping[str, Any]:
        return self._activation.frame.steps

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        activation = self._activation
        step = activation.aliases.get(name, name)
        if step not in activation.futures:
            return activation.frame.steps[name]
        outcome = activation.ended(step)
        record = outcome.record if outcome else (activation.state.get("records") or {}).get(step)
        record = record or {}
        return {
            "status": record.get("status", "pending"),
            "error": record.get("error"),
            "attempts": record.get("attempts", 0),
            "duration": record.get("duration", 0.0),
        }
