"""How often a target or a version failed in a row, and when it is due again; nothing was counted before."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    for table in ("targets", "versions"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN failures INTEGER NOT NULL DEFAULT 0")
        op.execute(f"ALTER TABLE {table} ADD COLUMN next_attempt_at DATETIME")
    op.execute("ALTER TABLE targets ADD COLUMN attempted VARCHAR(64)")
