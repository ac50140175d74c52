"""What is left of a container that did not complete: what had finished inside, and where it was."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from stretto.graphs.state import CHANNELS, RunState

if TYPE_CHECKING:
    from stretto.graphs.activation import Activation


class Remains:
    """How far a container at work has come, also once it was cancelled and gives no state."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Begin with the state that the container is entered with."""
        self._given = cast(RunState, given)
        self._region: Activation | None = None

    def enter(self, region: "Activation") -> None:
        """Note the region that the container is in now; a loop enters one per round."""
        self._region = region

    def kept(self) -> dict[str, Any]:
        """Pick what a retry of the container goes on from."""
        return kept_of(self._given if self._region is None else _state_of(self._region))


def _state_of(region: "Activation") -> RunState:
    """Give the state that a region is in: what it was entered with, and what has ended since."""
    state: dict[str, Any] = {**region.state}
    state |= {name: dict(state.get(name) or {}) for name in CHANNELS}
    for step in region.futures:
        outcome = region.ended(step)
        if outcome is not None:
            for channel, written in outcome.update(step).items():
                state[channel].update(written)
        elif step in region.at_work:
            state["partial"][step] = {**region.at_work[step].kept(), "in_round": region.round}
    return cast(RunState, state)


def kept_of(state: RunState) -> dict[str, Any]:
    """Pick what a retry of a container goes on from: all that is settled, and where it was.

    Args:
        state: what the container came to.

    """
    done = {
        step: record
        for step, record in (state.get("records") or {}).items()
        if record.get("status") in ("completed", "skipped")
    }
    # All outputs: those of the round before are what steps see until theirs of this one are there.
    outputs = dict(state.get("outputs") or {})
    skipped = {step: why for step, why in (state.get("skipped") or {}).items() if step in done}
    kept: dict[str, Any] = {"outputs": outputs, "skipped": skipped, "records": done}
    for name in ("round", "case", "partial"):
        if state.get(name) is not None:
            kept[name] = state.get(name)
    return kept
