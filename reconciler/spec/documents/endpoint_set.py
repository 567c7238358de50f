"""What an EndpointSet is made of: where its items come from, and the two templates that each item fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import (
    Document,
    Metadata,
    ParameterValue,
    Part,
    Text,
    Whole,
    one_of,
    require_one,
    shape,
)
from reconciler.spec.documents.classic_endpoint import ClassicEndpoint

SET_LABEL = "set"
"""The label under which an endpoint of a set carries the set's name, for ``--select set=NAME``."""
ITEM_FORMS = ("csv", "list", "range")
RANGE_COLUMN = "item"
"""The one column of a set whose items are a range."""
MOST_ITEMS = 100_000


def _mapping(value: object) -> object:
    if not isinstance(value, Mapping):
        raise rules.broken("is not a mapping", allowed="a mapping, as in a document of its own")
    return value


Template: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_mapping), shape(type="object")]


class ItemRange(Part):
    """Whole numbers as items, in the column ``item``."""

    from_: Annotated[Whole, Field(ge=0)] = Field(alias="from", description="The first number.")
    to: Annotated[Whole, Field(ge=0)] = Field(description="The last number.")
    step: Annotated[Whole, Field(ge=1)] = Field(default=1, description="From one number to the next.")
    pad: Annotated[Whole, Field(ge=0, le=20)] = Field(
        default=0, description="The least number of digits; shorter numbers get leading zeros."
    )

    @field_validator("to")
    @classmethod
    def _not_before_from(cls, value: int, info: Any) -> int:
        first = info.data.get("from_")
        if first is not None and value < first:
            raise rules.broken("is less than from", allowed="from or more")
        if first is not None and value - first >= MOST_ITEMS:
            raise rules.broken("makes too many items", allowed=f"at most {MOST_ITEMS:,} items")
        return value


class Items(Part):
    """Where the items of a set come from."""

    model_config = ConfigDict(json_schema_extra=one_of(*ITEM_FORMS))

    csv: Annotated[Text, AfterValidator(rules.table_path)] | None = Field(
        default=None, description="Path of a CSV relative to this document's file; its header names the columns."
    )
    list_: tuple[dict[Text, ParameterValue], ...] | None = Field(
        default=None, alias="list", description="Items as mappings of columns to values; all have the same columns."
    )
    range_: ItemRange | None = Field(
        default=None, alias="range", description="Numbers from … to …; the column is called item."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: object) -> object:
        return require_one(cls, value, ("csv", "list_", "range_"))


class Override(Part):
    """What one item has otherwise: mappings are merged, all else replaces, null takes a field out."""

    model: Template | None = Field(default=None, description="Parts of the model's spec.")
    endpoint: Template | None = Field(default=None, description="Parts of the endpoint's spec.")


class EndpointSetSpec(Part):
    """Many endpoints, and models if each has its own, from one template.

    In a text of ``model``, ``endpoint`` and ``overrides`` ``{column}`` stands for the item's value, ``{column:03}``
    for a whole number with at least three digits, and ``{column:n}``, alone in a text, for a number. ``{{`` and ``}}``
    are braces. In ``model`` ``{version}`` is the version's label, as in every Model.
    """

    items: Items
    key: Text | None = Field(default=None, description="The column that names an item. Default: the first column.")
    model: Template | None = Field(
        default=None,
        description="Spec of one Model for each item, named <set>-<item>. Without it, the endpoint names a Model.",
    )
    endpoint: Template = Field(
        description="Spec of one ClassicEndpoint for each item, named <set>-<item>. With model, "
        "model.name may be left out."
    )
    prune: bool = Field(
        default=False,
        description="Delete endpoints that were removed from the set, but only those with the ownership marker.",
    )
    overrides: dict[Text, Override] = Field(
        default_factory=dict, description="Overrides by item: parts of its model's and endpoint's spec."
    )


class SetMetadata(Metadata):
    """The metadata of a set, whose name begins the names of what it makes."""

    @field_validator("labels")
    @classmethod
    def _own_label(cls, value: dict[str, str]) -> dict[str, str]:
        if SET_LABEL in value:
            raise rules.broken("has the label 'set', which is reserved for the name of the set", allowed="other labels")
        return value


class EndpointSet(Document):
    """Many models and endpoints from one experiment; expanded into ordinary documents when it is loaded."""

    kind: Literal["EndpointSet"] = "EndpointSet"
    metadata: SetMetadata
    spec: EndpointSetSpec

    ENDPOINT: ClassVar[type[ClassicEndpoint]] = ClassicEndpoint
    """The kind of document that ``spec.endpoint`` is the template of."""
