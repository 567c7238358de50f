"""The schema's version, and how a store of an earlier one is upgraded. There are no downgrades.

The version is SQLite's ``user_version``, and ``application_id`` says that the file is a store at all. Each step is an
Alembic revision in ``versions/``, whose id is the number of the version that it leads to. Steps once released never
change. Alembic itself is imported only when there is a step to take.
"""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from reconciler.store.errors import StoreError
from reconciler.store.tables import metadata

SCHEMA_VERSION = 5
"""The newest revision in ``versions/``."""
APPLICATION_ID = 0x5245434F
"""``RECO``."""

_upgrading = threading.Lock()
"""Held while Alembic works: the ``op`` of its revisions is one object for the whole process."""


def found_version(connection: Connection) -> int:
    """Return the version of the schema in the file; 0 if the file is empty.

    Raises:
        StoreError: The file belongs to another program, or to a newer reconciler.
    """
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if application != APPLICATION_ID:
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if application or version or tables:
            raise StoreError("it is a database of another program and not a store")
        return 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"it has schema version {version}, made by a newer reconciler; this one knows versions up to"
            f" {SCHEMA_VERSION}. Update reconciler, or name another store"
        )
    return version


def bring_forward(connection: Connection) -> None:
    """Make the tables in an empty file, or take every step from the file's version to the newest.

    To be called inside of a write transaction, so that a crash leaves the earlier version whole.

    Raises:
        StoreError: As for `found_version`.
    """
    version = found_version(connection)
    if version == 0:
        metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    elif version < SCHEMA_VERSION:
        _upgrade(connection, version)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _upgrade(connection: Connection, version: int) -> None:
    """Let Alembic take the steps. Its own table exists only meanwhile, for ``user_version`` says the same."""
    from alembic import command  # noqa: PLC0415 - it takes 0.1 s to import, and is seldom needed
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", "reconciler.store:migrations")
    config.attributes["connection"] = connection
    with _upgrading:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (f"{version:04}",))
        command.upgrade(config, f"{SCHEMA_VERSION:04}")
        connection.exec_driver_sql("DROP TABLE alembic_version")
