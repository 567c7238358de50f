"""The write-only settings of a target that were written; unknown for what was written earlier."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE targets ADD COLUMN written JSON NOT NULL DEFAULT '{}'")
