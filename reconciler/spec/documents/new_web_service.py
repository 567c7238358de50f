"""What a New web service's document has beside its models: where it comes from, and what of it is managed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from reconciler.spec.documents import rules, tag_rules
from reconciler.spec.documents.base import Part, SecretReference, Text, shape

CommitmentPlanId: TypeAlias = Annotated[
    str, AfterValidator(rules.commitment_plan), shape(pattern=rules.COMMITMENT_PLAN_PATTERN)
]
JsonPointer: TypeAlias = Annotated[str, AfterValidator(rules.json_pointer), shape(pattern=rules.JSON_POINTER_PATTERN)]
TagName: TypeAlias = Annotated[str, AfterValidator(tag_rules.tag_name)]
TagValue: TypeAlias = Annotated[str, AfterValidator(tag_rules.tag_value)]
Tags: TypeAlias = Annotated[dict[TagName, TagValue], AfterValidator(tag_rules.tags)]


class DefinitionFile(Part):
    """Where the definition is kept: JSON as Resource Manager has it, without server-set members and secrets."""

    file: Annotated[str, AfterValidator(rules.present)] = Field(
        description="A JSON file, relative to the directory of this document's file; `reconcile export` writes one."
    )

    @property
    def path(self) -> Path:
        """The same as a path."""
        return Path(self.file)


class NewStorage(Part):
    """The storage account of a New web service, which has its models. Its key can be written and never read."""

    account: Text = Field(description="Name of the storage account.")
    key: SecretReference = Field(description="Reference to the account's key; another key is written to the service.")


class NewKeys(Part):
    """The keys that callers of a New web service use. A key that is left out is not managed."""

    primary: SecretReference | None = Field(default=None, description="Reference to the primary key.")
    secondary: SecretReference | None = Field(default=None, description="Reference to the secondary key.")

    @model_validator(mode="after")
    def _some_key(self) -> NewKeys:
        if self.primary is None and self.secondary is None:
            raise rules.broken("has no key", allowed="primary, secondary, or both")
        return self
