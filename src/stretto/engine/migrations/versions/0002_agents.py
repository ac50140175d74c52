"""How agents have been doing."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "agents",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("consecutive_failures", sa.Integer, nullable=False),
        sa.Column("mean_seconds", sa.Double),
        sa.Column("last_error", sa.JSON),
        sa.Column("last_used", sa.Double),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("agents")
