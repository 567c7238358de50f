"""The shapes of single values in a spec, as far as the rules of Studio and of specs can be checked offline.

Each check takes the value, gives it back, and raises a `broken` rule that says what is allowed. No rule repeats
the value, which might be a secret: `reconciler.spec.loading.validation_errors` decides what of it may be shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

RULE = "rule"
"""The error type of a broken rule; its context holds ``allowed`` and ``remedy``."""

VERSION_PLACEHOLDER = "{version}"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
ENDPOINT_PATTERN = r"^[0-9a-z]([0-9a-z-]{0,22}[0-9a-z])?$"
CONTAINER_PATTERN = r"^[0-9a-z]+(-[0-9a-z]+)*$"
WORKSPACE_ID_PATTERN = r"^[0-9A-Fa-f]{32}$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
VAULT_PATTERN = r"^([A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]|https://[^/?#\s@]+/?)$"
IN_VAULT_PATTERN = r"^[0-9A-Za-z-]{1,127}$"
VAULT_VERSION_PATTERN = r"^[0-9A-Fa-f]{32}$"
DURATION_PATTERN = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
RESOURCE_ID_PATTERN = (
    r"^/[sS]ubscriptions/[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}/[rR]esource[gG]roups/[^/?#\s]+"
    r"/[pP]roviders/[mM]icrosoft\.[mM]achine[lL]earning/[wW]eb[sS]ervices/[^/?#\s]*[^/?#\s.]$"
)
COMMITMENT_PLAN_PATTERN = RESOURCE_ID_PATTERN.replace("[wW]eb[sS]ervices", "[cC]ommitment[pP]lans")
JSON_POINTER_PATTERN = r"^(/([^/~]|~0|~1)*)+$"
RESOURCE_ID_SHAPE = (
    "/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.MachineLearning/webServices/<name>"
)

COMMITMENT_PLAN_SHAPE = RESOURCE_ID_SHAPE.replace("webServices", "commitmentPlans")

NAME_LIMIT = 100
MODEL_NAME_LIMIT = 48
LABEL_LIMIT = 40
"""A model's name and a version's label go into the marker, for which `MARKER_ROOM` is kept."""
DESCRIPTION_LIMIT = 2000
MARKER_ROOM = 120
OUR_NOTE = "[reconciler:"
LONGEST_TIMEOUT = timedelta(days=30)
REFERENCE_FORMS = "{env: VARIABLE}, {file: path} or {keyVault: {vault: NAME, secret: NAME}}"
"""How a spec refers to a secret."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_NAME = re.compile(NAME_PATTERN)
_ENDPOINT = re.compile(ENDPOINT_PATTERN)
_CONTAINER = re.compile(CONTAINER_PATTERN)
_WORKSPACE_ID = re.compile(WORKSPACE_ID_PATTERN)
_VARIABLE = re.compile(VARIABLE_PATTERN)
_VAULT = re.compile(VAULT_PATTERN)
_VAULT_SECRET = re.compile(IN_VAULT_PATTERN)
_VAULT_VERSION = re.compile(VAULT_VERSION_PATTERN)
_HEX = re.compile(r"[0-9A-Fa-f]{32,}\Z")
_DURATION = re.compile(DURATION_PATTERN)
_RESOURCE_ID = re.compile(RESOURCE_ID_PATTERN)
_COMMITMENT_PLAN = re.compile(COMMITMENT_PLAN_PATTERN)
_JSON_POINTER = re.compile(JSON_POINTER_PATTERN)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_UNITS = ("days", "hours", "minutes", "seconds")


def broken(summary: str, *, allowed: str = "", remedy: str = "") -> PydanticCustomError:
    """Return a rule that a value breaks: what is wrong, what is allowed, what to do. None may hold the value."""
    return PydanticCustomError(RULE, "{summary}", {"summary": summary, "allowed": allowed, "remedy": remedy})


def present(value: str) -> str:
    """Text with something in it."""
    if not value.strip():
        raise broken("is empty", allowed="a text with at least one character")
    return value


def _named(value: str, what: str, limit: int, reason: str) -> str:
    if not _NAME.match(value) or value.endswith("\n"):
        raise broken(
            f"is not a valid {what}",
            allowed=f"letters, digits, '.', '_' and '-', beginning with a letter or digit{reason}",
        )
    if len(value) > limit:
        raise broken(f"is too long for a {what}: {len(value)} characters", allowed=f"at most {limit} characters")
    return value


def document_name(value: str) -> str:
    """Return the name of a document."""
    return _named(value, "name", NAME_LIMIT, "")


def model_name(value: str) -> str:
    """Return the name of a model, which becomes a part of blob paths and of markers."""
    return _named(value, "model name", MODEL_NAME_LIMIT, " (it becomes a part of blob paths and markers)")


def version_label(value: str) -> str:
    """Return the label of a version, which becomes a part of blob paths and of markers."""
    return _named(value, "version label", LABEL_LIMIT, " (it becomes a part of blob paths and markers)")


def label_key(value: str) -> str:
    """Return the key of a label, which ``--select key=value`` must be able to say."""
    if not value.strip() or "=" in value:
        raise broken("is not a valid label key", allowed="a text that is not empty and has no '='")
    return value


def endpoint_name(value: str) -> str:
    """Return the name of an added Classic endpoint (classic-protocol 1.5); ``default`` cannot be patched (1.7)."""
    if value == "default":
        raise broken(
            "the endpoint 'default' cannot be a target: the service refuses to patch it",
            allowed="an endpoint added to the predictive web service",
            remedy="add an endpoint of another name; reconciler creates it when it does not exist",
        )
    if not _ENDPOINT.match(value) or value.endswith("\n"):
        raise broken(
            "is not a valid endpoint name",
            allowed="1 to 24 digits, lower-case letters and hyphens, a hyphen neither first nor last",
        )
    return value


def description(value: str) -> str:
    """Return a Classic description that leaves room for the marker (classic-protocol 1.5: 2000 characters)."""
    room = DESCRIPTION_LIMIT - MARKER_ROOM
    if len(value) > room:
        raise broken(
            f"is too long: {len(value)} characters",
            allowed=f"at most {room} characters: the service takes {DESCRIPTION_LIMIT}, "
            f"and {MARKER_ROOM} of them are kept for reconciler's marker",
        )
    if OUR_NOTE in value:
        raise broken(
            f"contains {OUR_NOTE!r}, with which reconciler's own marker begins",
            allowed="any other text",
            remedy="remove the marker; reconciler adds it",
        )
    return value


def room_beside(versions: Sequence[str]) -> int:
    """How long a Classic description may be beside the markers of versions (``model@label``); below 0 for too many."""
    return DESCRIPTION_LIMIT - note_length(versions) - 1


def note_length(versions: Sequence[str]) -> int:
    """Return how many characters the ownership marker of versions (``model@label``) takes in a Classic description.

    With 12 digits of the fingerprint and what separates them, each marker takes 15 characters more than its version.
    """
    return len(OUR_NOTE) + (sum(len(version) + 15 for version in versions) or len(" managed]"))


def too_many_markers(models: int, place: str, allowed: str) -> PydanticCustomError:
    """Return the models of one target whose markers don't fit into the place where they are kept."""
    return broken(
        f"names {models} models, and their markers do not fit into {place}",
        allowed=allowed,
        remedy="manage fewer models, or give them shorter names and labels",
    )


def workspace_id(value: str) -> str:
    """Return a workspace id (classic-protocol 1.3: 32 hex digits)."""
    if not _WORKSPACE_ID.match(value) or value.endswith("\n"):
        raise broken("is not a workspace id", allowed="32 hexadecimal digits without hyphens")
    return value


def resource_id(value: str) -> str:
    """Return the resource id of a New web service (new-protocol 3); no dot at its end (classic-protocol 5.11)."""
    if not _RESOURCE_ID.match(value) or value.endswith("\n"):
        raise broken("is not the resource id of a New web service", allowed=RESOURCE_ID_SHAPE)
    return value


def commitment_plan(value: str) -> str:
    """Return the resource id of a commitment plan (new-protocol 5)."""
    if not _COMMITMENT_PLAN.match(value) or value.endswith("\n"):
        raise broken("is not the resource id of a commitment plan", allowed=COMMITMENT_PLAN_SHAPE)
    return value


def json_pointer(value: str) -> str:
    """Return a place in a definition (RFC 6901), at least one step deep."""
    if not _JSON_POINTER.match(value) or value.endswith("\n"):
        raise broken(
            "is not a JSON Pointer",
            allowed="/properties/… with each step after a '/', where ~1 stands for '/' and ~0 for '~'",
        )
    if not value.casefold().startswith("/properties/"):
        raise broken(
            "is not a place in the properties of a definition; only properties are compared",
            allowed="/properties/…, as in /properties/title",
        )
    return value


def variable(value: str) -> str:
    """Return the name of an environment variable."""
    # A workspace token may be 32 hex digits (classic-protocol 1.2), which could pass for a name.
    if not _VARIABLE.match(value) or value.endswith("\n") or _HEX.match(value):
        raise broken(
            "not the name of an environment variable",
            allowed="letters, digits and '_', not beginning with a digit",
            remedy="write the name of the variable that holds the secret; never write the secret itself",
        )
    return value


def vault(value: str) -> str:
    """Return a Key Vault, by its name or its URL (Key Vault documentation, "Object identifiers")."""
    if not _VAULT.match(value) or value.endswith("\n"):
        raise broken(
            "not the name or URL of a Key Vault",
            allowed="its name (3 to 24 letters, digits and single hyphens, beginning with a letter), or its URL, "
            "https://NAME.vault.azure.net, without a path",
        )
    return value


def vault_secret(value: str) -> str:
    """Return the name of a secret in a Key Vault (Key Vault documentation, "Object identifiers")."""
    # As for a variable: a workspace token of 32 hex digits could pass for a name.
    if not _VAULT_SECRET.match(value) or value.endswith("\n") or _HEX.match(value):
        raise broken(
            "not the name of a secret",
            allowed="1 to 127 letters, digits and hyphens",
            remedy="write the name of the secret in the vault; never write the secret itself",
        )
    return value


def vault_version(value: str) -> str:
    """Return the version of a secret in a Key Vault."""
    if not _VAULT_VERSION.match(value) or value.endswith("\n"):
        raise broken(
            "not the version of a secret",
            allowed="32 hexadecimal digits, as the secret's identifier ends with",
            remedy="remove it to use the current version",
        )
    return value


def container(value: str) -> str:
    """Return the name of a blob container."""
    if not _CONTAINER.match(value) or value.endswith("\n") or not 3 <= len(value) <= 63:
        raise broken(
            "is not a valid container name",
            allowed="3 to 63 lower-case letters, digits and single hyphens, a hyphen neither first nor last",
        )
    return value


def placeholders(value: str) -> str:
    """Text in which ``{version}`` is the only placeholder."""
    unknown = [found for found in _PLACEHOLDER.findall(value) if found != VERSION_PLACEHOLDER]
    if unknown:
        raise broken("has an unknown placeholder in braces", allowed="{version} is the only placeholder")
    return value


def blob_path(value: str) -> str:
    """Return a blob as ``container/path``."""
    name, _, path = value.partition("/")
    container(name)
    if not path.strip("/"):
        raise broken("does not name a blob in the container", allowed="container/path, as in datasets/day.csv")
    return placeholders(value)


def file_path(value: str) -> str:
    """Return the path of a file, relative to the directory of the document's file."""
    if "\0" in value:
        raise broken("is not a path", allowed="a path relative to the directory of this file")
    return placeholders(present(value))


def table_path(value: str) -> str:
    """Return the path of a CSV, relative to the directory of the document's file."""
    if "\0" in value:
        raise broken("is not a path", allowed="a path relative to the directory of this file")
    return value


def url(value: str) -> str:
    """Return an https URL; plain http only to this machine, since what goes in clear can be changed on its way."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host or any(c.isspace() for c in value):
        raise broken("is not a URL", allowed="https://host/path")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise broken(
            "uses http:// to another machine",
            allowed="https://, or http:// to localhost, 127.0.0.1 or [::1]",
        )
    return value


def input_url(value: str) -> str:
    """Return the URL of an input."""
    return placeholders(url(value))


def base_location(value: str) -> str:
    """Return the ``BaseLocation`` of a blob: the account's own URL (classic-protocol 1.7)."""
    if urlsplit(url(value)).query:
        raise broken(
            "has a query",
            allowed="the storage account's URL alone, as in https://account.blob.core.windows.net/",
            remedy="a SAS goes into sasToken, as a reference",
        )
    return value


def relative_location(value: str) -> str:
    """Return the ``RelativeLocation`` of a trained model, which ends in ``.ilearner`` (classic-protocol 1.7)."""
    if not value.endswith(".ilearner") or not value.strip("/").partition("/")[2] or "?" in value:
        raise broken("is not the location of a trained model", allowed="container/path ending in .ilearner")
    return value


def finite(value: float) -> float:
    """Return a number that JSON can carry."""
    if not math.isfinite(value):
        raise broken("is not a finite number", allowed="a finite number")
    return value


def duration(value: object) -> timedelta:
    """Return a duration such as ``2h``, ``90m`` or ``1h30m``."""
    if isinstance(value, timedelta):
        found = value
    else:
        match = _DURATION.match(value) if isinstance(value, str) and 0 < len(value) < 40 else None
        if match is None:
            raise broken("is not a duration", allowed="number and unit (d, h, m, s), as in 2h, 90m or 1h30m")
        parts = {unit: int(text[:-1]) for unit, text in zip(_UNITS, match.groups(), strict=True) if text}
        try:
            found = timedelta(**parts)
        except OverflowError:
            found = timedelta.max
    if not timedelta(0) < found <= LONGEST_TIMEOUT:
        raise broken("is out of range", allowed="more than zero, at most 30d")
    return found


def in_units(value: timedelta) -> str:
    """Return a duration as a spec writes it, in whole seconds: ``1h30m``."""
    rest, text = int(value.total_seconds()), ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
