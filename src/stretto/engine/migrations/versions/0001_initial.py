"""The first schema: pinned workflows, runs, their events in segments, learned durations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_workflows()
    _create_runs()
    op.create_table(
        "given",
        sa.Column(
            "run_id",
            sa.String(200),
            sa.ForeignKey("runs.run_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("input", sa.JSON),
        sa.Column("context", sa.JSON, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column(
            "run_id",
            sa.String(200),
            sa.ForeignKey("runs.run_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("first_seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
    )
    op.create_table(
        "durations",
        sa.Column("workflow_id", sa.String(100), primary_key=True),
        sa.Column("step", sa.String(500), primary_key=True),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )


def _create_workflows() -> None:
    op.create_table(
        "workflows",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("workflow_id", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_workflows_workflow_id", "workflows", ["workflow_id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(200), primary_key=True),
        sa.Column("workflow_id", sa.String(100), nullable=False),
        sa.Column("workflow_name", sa.String(100), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), sa.ForeignKey("workflows.digest"), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("session_id", sa.String(200)),
        sa.Column("parent_run_id", sa.String(200)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("error", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("usage", sa.JSON),
        sa.Column("deadline_at", sa.Double),
    )
    op.create_index("ix_runs_created_at", "runs", ["created_at", "run_id"])
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_workflow_id", "runs", ["workflow_id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("durations", "events", "given", "runs", "workflows"):
        op.drop_table(table)
