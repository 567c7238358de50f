"""Which write-only settings of a target were written; unknown for those of before."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE targets ADD COLUMN written JSON NOT NULL DEFAULT '{}'")
