"""What sections of a studio file are made of, where more than one module needs it."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of the studio file: camelCase keys, none of which may be unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


def lower_text(value: object) -> object:
    """Return an id in lower case, because ids are compared without regard to letter case."""
    return value.lower() if isinstance(value, str) else value


AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{3,24}$")]
Hex32 = Annotated[str, BeforeValidator(lower_text), StringConstraints(pattern=r"^[0-9a-f]{32}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Guid = Annotated[
    str,
    BeforeValidator(lower_text),
    StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
]
