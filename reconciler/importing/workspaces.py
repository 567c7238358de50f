"""Which workspaces are meant on a command line: those of documents, or new ones that it describes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from reconciler.spec.diagnostics import SpecError, did_you_mean, join_names
from reconciler.spec.documents import Metadata, SecretReference, Storage, Workspace, WorkspaceSpec, rules
from reconciler.spec.fleet import Fleet, load_fleet
from reconciler.targets import kinds

_ID = re.compile(rules.WORKSPACE_ID_PATTERN)


@dataclass(frozen=True, slots=True)
class NewWorkspace:
    """What is said of a workspace that has no document. What is None is made up of its name."""

    region: str | None = None
    token_env: str | None = None
    storage_env: str | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Meant:
    """The workspaces by the names of their documents; ``written`` are those that have none yet."""

    workspaces: Mapping[str, Workspace]
    written: frozenset[str]
    fleet: Fleet | None
    """The documents that there are, if they were asked for."""


def meant(references: Sequence[str], specs: Sequence[Path], default: Path, said: NewWorkspace) -> Meant:
    """Return the workspaces that are meant.

    A reference is the name of a Workspace document, or the id of a workspace, or ``NAME=ID``, which also says how its
    new document is called.

    Args:
        references: What the command line names.
        specs: The spec files that it names.
        default: The spec files when it names none, though a reference is to a document.
        said: What it says of a workspace that has no document.

    Raises:
        SpecError: a reference leads nowhere, or something is missing or not allowed; the message says what.
    """
    wanted = [_parsed(reference) for reference in references]
    looked_up = bool(specs) or any(studio_id is None for _, studio_id in wanted)
    fleet = load_fleet(list(specs) or [default], kinds.documents()) if looked_up else None
    documents = fleet.workspaces if fleet is not None else {}
    by_id = {document.spec.id.lower(): name for name, document in documents.items()}
    found: dict[str, Workspace] = {}
    written: dict[str, Workspace] = {}
    for name, studio_id in wanted:
        if studio_id is None:
            found[name] = _document(name, documents)
        elif studio_id.lower() in by_id:
            found[by_id[studio_id.lower()]] = documents[by_id[studio_id.lower()]]
        elif name in documents or name in written:
            raise SpecError(
                f"Workspace {name} exists with another id. Give the new one another name: --workspace NAME={studio_id}"
            )
        else:
            written[name] = _new(name, studio_id, said)
    if len(written) > 1 and (said.token_env or said.storage_env):
        raise SpecError(
            "--token-env and --storage-env apply to one workspace. Import workspaces without documents one by one"
        )
    return Meant({**found, **written}, frozenset(written), fleet)


def _parsed(reference: str) -> tuple[str, str | None]:
    """Return a name and, unless it is that of a document, an id."""
    name, equals, studio_id = reference.rpartition("=")
    if _ID.fullmatch(studio_id if equals else reference):
        return name if equals else f"workspace-{reference[:8].lower()}", studio_id
    if equals:
        raise SpecError(f"--workspace {reference}: the text after '=' is not a workspace id (32 hexadecimal digits)")
    return reference, None


def _document(name: str, documents: Mapping[str, Workspace]) -> Workspace:
    if name not in documents:
        there = f"documents: {join_names(sorted(documents))}" if documents else "there are no documents"
        raise SpecError(
            f"--workspace {name} is neither a workspace id nor the name of a Workspace document ({there})"
            + (f"; {guess}" if (guess := did_you_mean(name, documents)) else "")
        )
    return documents[name]


def _new(name: str, studio_id: str, said: NewWorkspace) -> Workspace:
    if said.region is None:
        raise SpecError(f"workspace {studio_id} has no document. Add --region, for example --region 'South Central US'")
    prefix = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    try:
        return Workspace(
            metadata=Metadata(name=name),
            spec=WorkspaceSpec(
                id=studio_id.lower(),
                region=said.region,
                token=SecretReference(env=said.token_env or f"{prefix}_WORKSPACE_TOKEN"),
                storage=Storage(
                    connection_string=SecretReference(env=said.storage_env or f"{prefix}_STORAGE"),
                    container=said.container or "models",
                ),
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        context = first.get("ctx", {})
        what = ".".join(str(part) for part in first["loc"])
        raise SpecError(
            f"the new Workspace cannot be written: {what} {context.get('summary', first['msg'])}; "
            f"allowed: {context.get('allowed', 'another value')}"
        ) from None
