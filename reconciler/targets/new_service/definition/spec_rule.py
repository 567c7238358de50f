"""The definition files that a spec tree names, looked at without a network: for ``reconcile validate``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.azure.arm.definition import find_trained_model, member
from reconciler.azure.errors import DefinitionError
from reconciler.spec.diagnostics import Diagnostic, Position
from reconciler.spec.loading.loader import Found, Mention, Tree
from reconciler.spec.secret_detection import shown
from reconciler.targets.new_service.definition.validation import examine

_FIELD = "spec.definition.file"


def definition_errors(tree: Tree) -> Iterator[Diagnostic]:
    """Return what is wrong with the definition files of a tree's New web services, and between them and the specs.

    A document with errors of its own has its file looked at all the same.
    """
    told = {each.position for each in tree.diagnostics if each.position.line}
    examined: dict[Path, tuple[dict[str, Any] | None, tuple[Diagnostic, ...]]] = {}
    for found in tree.found:
        named, state = found.mentions.get(_FIELD), found.mentions.get("spec.state")
        if named is None or not named.value.strip() or (state is not None and state.value == "absent"):
            continue
        file = (found.home or found.file).parent / named.value
        if file not in examined:
            examined[file] = examine(file)
        content, errors = examined[file]
        for error in errors:
            # A file that lies in the tree was read with it, and what is not JSON is reported already.
            if error.position not in told:
                yield _at_both(error, found, named)
            if error.position.line:
                told.add(error.position)
        if content is not None:
            yield from _resources(found, content, file)


def _at_both(error: Diagnostic, found: Found, named: Mention) -> Diagnostic:
    """Return the error where it stands in the file, with the spec that names it; at the spec if it stands nowhere."""
    if not error.position.line:
        summary = f"{error.position}: {error.summary}"
        return Diagnostic(summary, named.position, _FIELD, error.detail, error.remedy)
    whose = f"it is the definition of {shown(found.name or '?')}, named at {named.position}"
    detail = "\n".join(filter(None, (error.detail, whose)))
    return Diagnostic(error.summary, error.position, error.field, detail, error.remedy)


def _resources(found: Found, content: dict[str, Any], file: Path) -> Iterator[Diagnostic]:
    """Return the trained models that a spec names and its definition has not."""
    if member(content, "properties", "assets") is None:
        return  # It manages other members of a service that is there.
    for use in found.uses:
        if use.resource is None:
            continue
        try:
            find_trained_model(content, use.resource.value)
        except DefinitionError as error:
            detail = f"the definition is {Position(file)}"
            yield Diagnostic(str(error), use.resource.position, f"{use.field}.resource", detail)
