"""What documents of every kind are made of: the base of parts, value types, secret references, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from reconciler.spec.documents import rules

API_VERSION: Literal["reconciler/v1"] = "reconciler/v1"


def shape(**schema: Any) -> Any:
    """JSON Schema keywords for a value that a rule checks."""
    return Field(json_schema_extra=schema)


def one_of(*names: str) -> dict[str, Any]:
    """JSON Schema for a mapping that has exactly one of these fields."""
    return {"oneOf": [{"required": [name]} for name in names]}


Text: TypeAlias = Annotated[str, AfterValidator(rules.present), shape(minLength=1)]
Whole: TypeAlias = Annotated[int, Strict()]
Number: TypeAlias = Annotated[float, Strict(), AfterValidator(rules.finite)]
Name: TypeAlias = Annotated[
    str, AfterValidator(rules.document_name), shape(pattern=rules.NAME_PATTERN, maxLength=rules.NAME_LIMIT)
]
ModelName: TypeAlias = Annotated[
    str,
    AfterValidator(rules.model_name),
    shape(pattern=rules.NAME_PATTERN, maxLength=rules.MODEL_NAME_LIMIT),
]
VersionLabel: TypeAlias = Annotated[
    str, AfterValidator(rules.version_label), shape(pattern=rules.NAME_PATTERN, maxLength=rules.LABEL_LIMIT)
]
Container: TypeAlias = Annotated[
    str,
    AfterValidator(rules.container),
    shape(pattern=rules.CONTAINER_PATTERN, minLength=3, maxLength=63),
]
ResourceId: TypeAlias = Annotated[str, AfterValidator(rules.resource_id), shape(pattern=rules.RESOURCE_ID_PATTERN)]


def _scalar(value: object) -> object:
    # Without this a union answers with one error for each of its members.
    if isinstance(value, str | int | float):
        return rules.finite(value) if isinstance(value, float) else value
    raise rules.broken("is not a single value", allowed="a text, a number, true or false")


def _scalar_or_null(value: object) -> object:
    return None if value is None else _scalar(value)


ParameterValue: TypeAlias = Annotated[str | int | float | bool, BeforeValidator(_scalar)]
ProbeValue: TypeAlias = Annotated[str | int | float | bool | None, BeforeValidator(_scalar_or_null)]


class Part(BaseModel):
    """A part of a document. From a file it is read by alias only; in Python either name works."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        hide_input_in_errors=True,
    )


def require_one(cls: type[Part], value: object, choices: tuple[str, ...]) -> object:
    """Return the raw value, if exactly one of the fields named is in it.

    A mapping with an unknown field passes: that is what the user has to hear of, not that one is missing.
    """
    if not isinstance(value, Mapping):
        return value
    known = {name: field.alias or name for name, field in cls.model_fields.items()}
    names = set(known) | set(known.values())
    if any(key not in names for key in value):
        return value
    given = [name for name in choices if value.get(name, value.get(known[name])) is not None]
    if len(given) != 1:
        found = " and ".join(known[name] for name in given) or "none of them"
        listed = ", ".join(known[name] for name in choices)
        raise rules.broken(f"needs exactly one of {listed}; found {found}", allowed=f"exactly one of {listed}")
    return value


class KeyVaultReference(Part):
    """A secret in an Azure Key Vault."""

    vault: Annotated[str, AfterValidator(rules.vault), shape(pattern=rules.VAULT_PATTERN)] = Field(
        description="Name of the vault, valid in any cloud, or its URL, https://NAME.vault.azure.net."
    )
    secret: Annotated[str, AfterValidator(rules.vault_secret), shape(pattern=rules.IN_VAULT_PATTERN)] = Field(
        description="Name of the secret in the vault."
    )
    version: Annotated[str, AfterValidator(rules.vault_version), shape(pattern=rules.VAULT_VERSION_PATTERN)] | None = (
        Field(default=None, description="Version of the secret. Default: the current version.")
    )


class SecretReference(Part):
    """Where a secret is found. The secret itself is never written in a spec."""

    model_config = ConfigDict(json_schema_extra=one_of("env", "file", "keyVault"))

    env: Annotated[str, AfterValidator(rules.variable), shape(pattern=rules.VARIABLE_PATTERN)] | None = Field(
        default=None, description="Name of the environment variable that holds the secret."
    )
    file: Path | None = Field(
        default=None,
        description="File that holds the secret, relative to the directory of this document's file.",
    )
    key_vault: KeyVaultReference | None = Field(default=None, description="The secret in an Azure Key Vault.")

    def __str__(self) -> str:
        """Return what is referred to, as messages call it: ``env CONTOSO_WORKSPACE_TOKEN``."""
        if self.key_vault is not None:
            version = f", version {self.key_vault.version}" if self.key_vault.version else ""
            return f"Key Vault {self.key_vault.vault}, secret {self.key_vault.secret}{version}"
        return f"env {self.env}" if self.env is not None else f"file {self.file}"

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, value: object) -> object:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            raise rules.broken(
                "a literal secret",
                allowed=f"a reference, {rules.REFERENCE_FORMS}",
                remedy="put the secret into an environment variable, a file or a Key Vault, and change it at the "
                "service: it may have been committed",
            )
        return require_one(cls, value, ("env", "file", "key_vault"))

    @field_validator("file")
    @classmethod
    def _a_path(cls, value: Path | None) -> Path | None:
        if value is not None and (not str(value).strip() or value == Path() or "\0" in str(value)):
            raise rules.broken("does not name a file", allowed="the path of a file")
        return value


class Metadata(Part):
    """What a document is called, and labels to select it by."""

    name: Name = Field(description="Unique among the documents of its kind; targets of all kinds share one space.")
    labels: dict[Annotated[str, AfterValidator(rules.label_key)], str] = Field(
        default_factory=dict, description="Free labels, for `--select key=value`."
    )


class ModelMetadata(Metadata):
    """The metadata of a model, whose name becomes a part of blob paths and markers."""

    name: ModelName = Field(description="Unique among models; becomes a part of blob paths and markers.")


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that names a document.

    Attributes:
        kind: The kind of that document.
        or_id: Whether the field may hold what identifies a target (it then begins with ``/``) in place of a name.
    """

    kind: str
    or_id: bool = False


class Document(Part):
    """What all documents have, and what each kind says of itself to the checks between documents."""

    FIELDS: ClassVar[tuple[str, ...]] = ()
    """The fields, as in ``spec.workspace``, whose values and places the checks between documents need."""
    REFERENCES: ClassVar[Mapping[str, Reference]] = {}
    """The fields that name another document."""

    kind: str
    api_version: Literal["reconciler/v1"] = Field(default=API_VERSION, description="The version of this format.")
    metadata: Metadata

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @classmethod
    def kind_name(cls) -> str:
        """Return what ``kind`` is in such a document."""
        return str(cls.model_fields["kind"].default)

    def secrets(self) -> Iterator[tuple[str, SecretReference]]:
        """Return the references to secrets that the document holds, each with its field."""
        yield from ()

    def at(self, field: str) -> Any:
        """Return the value of a field, as in ``spec.webService``; None if it, or what it is in, is not there."""
        value: Any = self
        for part in field.split("."):
            value = getattr(value, _attribute(type(value), part), None)  # type: ignore[arg-type] # classes are hashable
        return value


@cache
def _attribute(part: type, alias: str) -> str:
    fields = part.model_fields if issubclass(part, BaseModel) else {}
    return next((name for name, field in fields.items() if field.alias == alias), alias)
