"""The typed state that all nodes of a graph share."""

from typing import Annotated, Any

from langchain_core.messages import AnyMessage
from langgraph.channels import UntrackedValue
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict


def merge(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """Join two mappings by key, the newer value winning.

    Every channel merges by step id, so applying the same write twice changes nothing and users
    never write reducers.
    """
    return {**(old or {}), **(new or {})}


class Record(TypedDict, total=False):
    """How one step went, beside its output."""

    status: str
    """completed, failed, skipped or not_run."""
    attempts: int
    duration: float
    """Seconds from the first call to the end, waits between attempts included."""
    agent: str | None
    order: int
    """Position in the order of completion, from 1; compensations run in reverse of it."""
    round: int
    """The round of the loop it belongs to, from 1; 0 outside loops."""
    code: str | None
    error: str | None
    fatal: bool
    """Whether this failure ends the scope that the step is in."""


class RunState(TypedDict, total=False):
    """What a workflow's graph keeps: every channel merges by step id."""

    input: Annotated[dict[str, Any], UntrackedValue]
    context: Annotated[dict[str, Any], UntrackedValue]
    """Both stay out of every save; ``given.read_given`` finds them where START was given them."""
    messages: Annotated[list[AnyMessage], add_messages]
    outputs: Annotated[dict[str, Any], merge]
    failures: Annotated[dict[str, dict[str, Any]], merge]
    skipped: Annotated[dict[str, str], merge]
    records: Annotated[dict[str, Record], merge]
    partial: Annotated[dict[str, Any], merge]
    """What a failed container had finished inside, so that a retry goes on from there."""
    undo: Annotated[dict[str, dict[str, Any]], merge]
    """Compensations of completed steps by path, with everything they need resolved."""
    round: int
    """The round that a loop is in, from 1."""
    more: bool
    """Whether something follows the steps: a loop's next round, or what a failure calls for."""
    case: str | None
    """The case that a branch took."""


CHANNELS = ("outputs", "failures", "skipped", "records", "partial", "undo")
"""The channels that a step writes, in the order they are saved."""
