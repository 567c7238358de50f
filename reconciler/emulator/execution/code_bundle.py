"""The body that publishes code as a Classic web service, checked (classic-protocol 1.3).

Its members are those that two published clients send: azureml's ``services.py`` (Python) and AzureML's ``publish.R``.
How the service refused a body is in no source; the codes are those of the documented table (classic-protocol 4.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal, Self

from reconciler.emulator.execution.errors import refused
from reconciler.emulator.execution.wire_format import member
from reconciler.emulator.ml.types import FORMATS, Column, ColumnType

BUNDLES: Final = "code-bundles"
"""The collection of all of them, by digest."""

# python-2.7-64 and R-3.1-64 are what the clients send; the service may have known others.
_LANGUAGE: Final = re.compile(r"(python|r)-\d[\w.-]*", re.IGNORECASE)
# By the types that the clients write, in any casing: one of them has Boolean with a capital.
_TYPES: Final[Mapping[str, ColumnType]] = {
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "string": "String",
}
_LARGEST_CONTENT: Final = 1 << 30


@dataclass(frozen=True)
class CodeBundle:
    """What a code service runs.

    Attributes:
        inputs: the columns that it takes.
        outputs: the columns that it gives.
        language: as its publisher names it.
        source: a script that defines ``azureml_main``.
        files: the zip file that goes with it, in base64; None if there is none.
    """

    inputs: Sequence[Column]
    outputs: Sequence[Column]
    language: str
    source: str
    files: str | None = None

    # A code service has one input and one output, which the clients take to have these names.
    input: ClassVar[str] = "input1"
    output: ClassVar[str] = "output1"

    @property
    def family(self) -> Literal["python", "r"]:
        """The language without its version."""
        return "python" if self.language.lower().startswith("python") else "r"

    @property
    def digest(self) -> str:
        """A digest that is the same for the same bundle."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the document that is kept."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the bundle of a document."""
        columns = {name: tuple(Column(**column) for column in document[name]) for name in ("inputs", "outputs")}
        return cls(**{**document, **columns})

    def __repr__(self) -> str:
        return f"<CodeBundle {self.language} {self.digest[:12]}>"


def read_bundle(body: Mapping[str, Any]) -> CodeBundle:
    """Return the code bundle of a body.

    Raises:
        ServiceError: 400.
    """
    kind = member(body, "Type")
    if not isinstance(kind, str) or kind.lower() != "code":
        raise refused(
            "WebServiceTypeInvalid", f"The Type of a web service that is published here is Code, not {kind!r}."
        )
    content = member(body, "CodeBundle")
    if not isinstance(content, Mapping):
        raise refused("MissingWebServicePackage", "The request has no CodeBundle.")
    language = member(content, "Language")
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise refused("RuntimesError", f"The Language {language!r} is none of Python's or R's, such as python-2.7-64.")
    source = member(content, "SourceCode")
    if not isinstance(source, str) or not source.strip():
        raise refused("FormatError", "The CodeBundle has no SourceCode.")
    outputs = _columns("OutputSchema", member(content, "OutputSchema"))
    if not outputs:
        raise refused("ValidationError", "The OutputSchema names no column.")
    return CodeBundle(
        inputs=_columns("InputSchema", member(content, "InputSchema")),
        outputs=outputs,
        language=language,
        source=source,
        files=_files(member(content, "ZipContents")),
    )


def _columns(where: str, schema: Any) -> tuple[Column, ...]:
    if not isinstance(schema, Mapping):
        raise refused("ValidationError", f"{where} is not an object with a type for each column.")
    return tuple(_column(where, name, given) for name, given in schema.items())


def _column(where: str, name: str, given: Any) -> Column:
    # One client writes an annotation that is a text as it is.
    kind, form = (member(given, "type"), member(given, "format")) if isinstance(given, Mapping) else (given, None)
    column_type = _TYPES.get(kind.lower()) if isinstance(kind, str) else None
    if not name or column_type is None:
        raise refused("ValidationError", f"{where}: the type of {name!r} is {kind!r}; there are {', '.join(_TYPES)}.")
    if form is not None and not isinstance(form, str):
        raise refused("ValidationError", f"{where}: the format of {name!r} is not a text.")
    return Column(name, column_type, form or FORMATS[column_type])


def _files(given: Any) -> str | None:
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise refused("FormatError", "ZipContents is not a text in base64.")
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(given))) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (binascii.Error, ValueError, zipfile.BadZipFile) as error:
        raise refused("FormatError", f"ZipContents is not a zip file in base64: {error}") from error
    if size > _LARGEST_CONTENT:
        raise refused("FormatError", f"The files in ZipContents have {size} bytes; the most is {_LARGEST_CONTENT}.")
    return given
