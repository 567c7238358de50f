"""The first schema. Files of it were made whole, so nothing leads to it."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Do nothing."""
