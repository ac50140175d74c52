"""The tables of the records, and the typed row of a run."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

from sqlalchemy import (
    JSON,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from stretto.engine.status import State

REVISIONS = ("0001", "0002")
"""Every schema revision in order, oldest first; the last one is what the tables here describe."""
VERSION_TABLE = "stretto_version"
METADATA = MetaData()

workflows = Table(
    "workflows",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("workflow_id", String(100), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("version", String(100), nullable=False),
    Column("document", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)
runs = Table(
    "runs",
    METADATA,
    Column("run_id", String(200), primary_key=True),
    Column("workflow_id", String(100), nullable=False),
    Column("workflow_name", String(100), nullable=False),
    Column("version", String(100), nullable=False),
    Column("digest", String(64), ForeignKey("workflows.digest"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("priority", String(20), nullable=False),
    Column("session_id", String(200)),
    Column("parent_run_id", String(200)),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("error", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),
    Column("usage", JSON(none_as_null=True)),
    Column("deadline_at", Double),
    Index("ix_runs_created_at", "created_at", "run_id"),
    Index("ix_runs_state", "state"),
    Index("ix_runs_workflow_id", "workflow_id"),
)
# Apart from the runs: an input may be large, and SQLite writes a row anew whenever it changes.
given = Table(
    "given",
    METADATA,
    Column("run_id", String(200), ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("input", JSON(none_as_null=True)),
    Column("context", JSON, nullable=False),
)
events = Table(
    "events",
    METADATA,
    Column("run_id", String(200), ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("first_seq", Integer, primary_key=True, autoincrement=False),
    Column("last_seq", Integer, nullable=False),
    Column("payload", Text, nullable=False),
)
durations = Table(
    "durations",
    METADATA,
    Column("workflow_id", String(100), primary_key=True),
    Column("step", String(500), primary_key=True),
    Column("mean", Double, nullable=False),
    Column("count", Integer, nullable=False),
)
agents = Table(
    "agents",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("consecutive_failures", Integer, nullable=False),
    Column("mean_seconds", Double),
    Column("last_error", JSON(none_as_null=True)),
    Column("last_used", Double),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One accepted run as it is stored; all times are seconds since the epoch."""

    run_id: str
    workflow_id: str
    """The slug of the workflow's name."""
    workflow_name: str
    version: str
    digest: str
    """The definition the run is pinned to; it must have been saved before the run."""
    created_at: float
    state: State = "queued"
    priority: str = "medium"
    input: Any = None
    """What the caller gave; None in listings, which leave it out."""
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    session_id: str | None = None
    parent_run_id: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: dict[str, Any] | None = None
    attempt: int = 0
    """How often the run was entered: 0 while queued, 1 in its first go."""
    usage: dict[str, Any] | None = None
    deadline_at: float | None = None
    """When a waiting run has a question to answer by default or to remind of."""


class RunChanges(TypedDict, total=False):
    """What may change about a run after it was accepted."""

    state: State
    priority: str
    session_id: str | None
    started_at: float | None
    ended_at: float | None
    error: dict[str, Any] | None
    attempt: int
    usage: dict[str, Any] | None
    deadline_at: float | None
