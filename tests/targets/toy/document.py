"""A Board: what users would write about a target of the toy kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from reconciler.spec.documents.base import Text, Whole
from reconciler.spec.documents.serving import Serving, Target


class BoardSpec(Serving):
    """A board that shows what a model says."""

    board: Text = Field(description="Name of the board.")
    brightness: Annotated[Whole, Field(ge=0, le=100)] | None = Field(default=None, description="In percent.")


class Board(Target):
    """A target: a board."""

    kind: Literal["Board"] = "Board"
    spec: BoardSpec

    IDENTITY: ClassVar[tuple[str, ...]] = ("spec.board",)
    FIELDS: ClassVar[tuple[str, ...]] = IDENTITY
    NOUN: ClassVar[str] = "board"
