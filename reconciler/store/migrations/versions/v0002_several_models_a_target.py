"""A target's one model becomes the first of a list; which resource the model was of was not kept."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Move the columns of the model into the list."""
    op.execute("ALTER TABLE targets ADD COLUMN models JSON NOT NULL DEFAULT '[]'")
    op.execute(
        "UPDATE targets SET models = json_array(json_object('resource', '', 'model', model, 'label', label,"
        " 'fingerprint', fingerprint, 'base_location', base_location, 'relative_location', relative_location))"
        " WHERE converged_at IS NOT NULL"
    )
    for column in ("model", "label", "fingerprint", "base_location", "relative_location"):
        op.execute(f"ALTER TABLE targets DROP COLUMN {column}")
