"""An index by which a misspelt target of the same name is looked up among few, and not among all."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the index."""
    op.execute("CREATE INDEX targets_never_home ON targets (name) WHERE converged_at IS NULL")
