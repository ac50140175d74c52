"""A guard against clocks that step back: new checkpoints must still sort after the saved ones.

LangGraph takes the checkpoint with the highest id as the latest, and ids begin with the wall-clock
time. Once the clock has stepped back, what a run saves would sort before what it read, and be
invisible from then on. LangGraph never gives out a time twice in a process; the guard makes it
remember the times of the checkpoints that are read as well.
"""

import uuid

from langgraph.checkpoint.base import id as ids

V6 = 6


def keep_ids_after(checkpoint_id: str) -> None:
    """Make every id that LangGraph generates from now on sort after ``checkpoint_id``."""
    seen = _time(checkpoint_id)
    if seen > (ids._last_v6_timestamp or 0):  # pyright: ignore[reportPrivateUsage]
        ids._last_v6_timestamp = seen  # type: ignore[assignment]


def _time(checkpoint_id: str) -> int:
    """Give the time in an id in units of 100 ns since 1582; 0 when it holds none."""
    try:
        parsed = ids.UUID(hex=checkpoint_id)
    except ValueError:
        return 0
    return parsed.time if parsed.version == V6 and parsed.variant == uuid.RFC_4122 else 0
