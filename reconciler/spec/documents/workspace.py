"""A Workspace: the Studio (classic) workspace that models are trained in and Classic endpoints live in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import Container, Document, Part, SecretReference, Text, shape


class Storage(Part):
    """The storage account that inputs are uploaded to and trained models are written to."""

    connection_string: SecretReference = Field(description="Reference to the account's connection string.")
    secondary_connection_string: SecretReference | None = Field(
        default=None,
        description="Reference to the connection string with the account's other key, which is used when the first "
        "is refused.",
    )
    container: Container = Field(description="Container for inputs and trained models.")

    @property
    def connection_strings(self) -> dict[str, SecretReference]:
        """The references to connection strings, one with each of the account's keys, by their field."""
        given = {
            "spec.storage.connectionString": self.connection_string,
            "spec.storage.secondaryConnectionString": self.secondary_connection_string,
        }
        return {field: reference for field, reference in given.items() if reference is not None}


class WorkspaceSpec(Part):
    """A Studio (classic) workspace and how to reach it."""

    id: Annotated[str, AfterValidator(rules.workspace_id), shape(pattern=rules.WORKSPACE_ID_PATTERN)] = Field(
        description="The workspace id, 32 hexadecimal digits."
    )
    region: Text = Field(description="The region as the portal shows it, for example South Central US.")
    tier: Literal["free", "standard"] | None = Field(
        default=None,
        description="The kind of workspace, which the service does not report. A free workspace allows three "
        "endpoints a web service, and only throttleLevel Low. Without it, a plan that needs more has a warning.",
    )
    token: SecretReference = Field(description="Reference to the workspace authorization token.")
    storage: Storage


class Workspace(Document):
    """A Studio (classic) workspace that models are trained in and Classic endpoints live in."""

    kind: Literal["Workspace"] = "Workspace"
    spec: WorkspaceSpec

    FIELDS: ClassVar[tuple[str, ...]] = ("spec.id",)

    def secrets(self) -> Iterator[tuple[str, SecretReference]]:
        """See `Document.secrets`."""
        yield "spec.token", self.spec.token
        yield from self.spec.storage.connection_strings.items()
