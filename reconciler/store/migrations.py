"""The schema's version, and how a store of an earlier one is brought forward. There is no way back.

The version is SQLite's ``user_version``, and ``application_id`` says that the file is a store at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from reconciler.store.errors import StoreError
from reconciler.store.tables import metadata

SCHEMA_VERSION = 4
APPLICATION_ID = 0x5245434F
"""``RECO``."""

Migrations = Mapping[int, Callable[[Connection], None]]


def _several_models_a_target(connection: Connection) -> None:
    """Make a target's one model the first of a list; its resource was not recorded."""
    connection.exec_driver_sql("ALTER TABLE targets ADD COLUMN models JSON NOT NULL DEFAULT '[]'")
    connection.exec_driver_sql(
        "UPDATE targets SET models = json_array(json_object('resource', '', 'model', model, 'label', label,"
        " 'fingerprint', fingerprint, 'base_location', base_location, 'relative_location', relative_location))"
        " WHERE converged_at IS NOT NULL"
    )
    for column in ("model", "label", "fingerprint", "base_location", "relative_location"):
        connection.exec_driver_sql(f"ALTER TABLE targets DROP COLUMN {column}")


def _what_is_never_shown(connection: Connection) -> None:
    """Of no target it is known which write-only settings were written."""
    connection.exec_driver_sql("ALTER TABLE targets ADD COLUMN written JSON NOT NULL DEFAULT '{}'")


def _targets_never_home_by_name(connection: Connection) -> None:
    """Each record of a target looks for a misspelt one of the same name: among few, and not among all."""
    connection.exec_driver_sql("CREATE INDEX targets_never_home ON targets (name) WHERE converged_at IS NULL")


MIGRATIONS: Migrations = {1: _several_models_a_target, 2: _what_is_never_shown, 3: _targets_never_home_by_name}
"""By the version that a step starts from; each leads to the next one. Steps once released never change."""


def found_version(connection: Connection, known: int = SCHEMA_VERSION) -> int:
    """Return the version of the schema in the file; 0 if it is empty.

    Raises:
        StoreError: The file belongs to another program, or to a newer release.
    """
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if application != APPLICATION_ID:
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if application or version or tables:
            raise StoreError("it is a database of another program and not a store")
        return 0
    if version > known:
        raise StoreError(
            f"it has schema version {version}, made by a newer reconcile; this one knows versions up to"
            f" {known}: update it, or name another store"
        )
    return version


def bring_forward(connection: Connection, known: int = SCHEMA_VERSION, migrations: Migrations = MIGRATIONS) -> None:
    """Make the tables in an empty file, or takes every step from the file's version to the known one.

    To be called inside of a write transaction, so that a crash leaves the earlier version whole.

    Raises:
        StoreError: As for `found_version`.
    """
    version = found_version(connection, known)
    if version == 0:
        metadata.create_all(connection)
    else:
        for step in range(version, known):
            migrations[step](connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {known}")
