"""What is saved of a run: its state, with the steps that ended since the last full save."""

from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from stretto.engine.ending import step_of
from stretto.graphs.state import CHANNELS, RunState, merge


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The saved state of a run and the questions it waits on."""

    state: RunState
    interrupts: tuple[dict[str, Any], ...]
    """``id``, ``step`` and ``value`` of each."""


async def read_snapshot(saver: "BaseCheckpointSaver[Any]", run_id: str) -> Snapshot | None:
    """Read what is saved of a run.

    Args:
        saver: where runs are saved.
        run_id: the run.

    Returns:
        None when nothing is saved yet, which is so until the run's input is.

    """
    saved = await saver.aget_tuple({"configurable": {"thread_id": run_id, "checkpoint_ns": ""}})
    if saved is None:
        return None
    values: dict[str, Any] = dict(saved.checkpoint["channel_values"])
    interrupts: dict[str, dict[str, Any]] = {}
    resumed: set[str] = set()
    for task_id, channel, value in saved.pending_writes or []:
        if channel in CHANNELS:
            values[channel] = merge(values.get(channel), value)
            resumed.add(task_id)
        elif channel == "__interrupt__":
            interrupts[task_id] = {
                i.id: {"id": i.id, "step": step_of(i.value), "value": i.value} for i in value
            }
    open_questions = [
        question
        for task_id, questions in interrupts.items()
        if task_id not in resumed
        for question in questions.values()
    ]
    return Snapshot(RunState(**values), tuple(open_questions))  # type: ignore[typeddict-item]
