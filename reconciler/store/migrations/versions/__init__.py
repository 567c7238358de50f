"""The steps of the schema, one a file, each an Alembic revision."""
