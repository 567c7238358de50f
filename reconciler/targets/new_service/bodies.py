"""The bodies that are written to New web services. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonpatch

from reconciler.azure.arm.definition import TrainedModelAsset, find_trained_model, member, spelling
from reconciler.plan.document import PatchOperation, Step
from reconciler.plan.states import Scalar
from reconciler.targets.driver import Artifact, Artifacts, TargetChangedError
from reconciler.targets.new_service.definition.file import set_member
from reconciler.targets.new_service.definition.form import Definition, path_of, without_query
from reconciler.targets.new_service.state import SETTINGS, TAGS, account_of
from reconciler.targets.ownership import markers_for, tags_of_created_service, tags_with_marker, with_tags


def is_repointed(definition: Definition, artifacts: Artifacts) -> bool:
    """Whether a definition shows these artifacts already."""
    return all(
        without_query(find_trained_model(definition, resource).uri) == artifact.location.uri
        for resource, artifact in artifacts.items()
    )


def repoint_body(definition: Definition, step: Step, artifacts: Artifacts) -> dict[str, Any]:
    """Return the whole assets map with the uris changed, right whether the service merges or replaces (new-protocol 2).

    Raises:
        PlanMoved: the definition's models are not where the plan saw them.
    """
    found = {resource: find_trained_model(definition, resource) for resource in artifacts}
    try:
        patched = jsonpatch.apply_patch(copy.deepcopy(dict(definition)), _repoints(definition, step, found, artifacts))
    except (
        jsonpatch.JsonPatchTestFailed,
        jsonpatch.JsonPatchConflict,
        jsonpatch.JsonPointerException,
    ) as error:
        shown = ", ".join(without_query(asset.uri) for asset in found.values())
        raise TargetChangedError(
            f"the definition's trained model is now {shown}, not the one of the plan; plan again"
        ) from error
    properties = member(patched, "properties")
    assets = spelling(properties, "assets") or "assets"
    return {
        "tags": tags_with_marker(member(definition, "tags") or {}, markers_for(artifacts)),
        "properties": {"packageType": "Graph", assets: properties[assets]},
    }


def _repoints(
    definition: Definition, step: Step, found: Mapping[str, TrainedModelAsset], artifacts: Artifacts
) -> list[dict[str, Any]]:
    operations = [operation.model_dump(mode="json") for operation in step.patch]
    resources = {asset.pointer: resource for resource, asset in found.items()}
    for operation in operations:
        resource = resources.get(operation["path"])
        if resource is None:
            raise TargetChangedError(f"the definition has no trained model at {operation['path']} any more; plan again")
        asset, artifact = found[resource], artifacts[resource]
        if operation["op"] == "test":
            # A signature in the live uri is no part of what was planned on, and never was in the plan.
            operation["value"] = asset.uri if operation["value"] == without_query(asset.uri) else operation["value"]
        else:
            account = str(member(definition, "properties", "storageAccount", "name") or "")
            operation["value"] = artifact.location.uri + signature_if_foreign(account, artifact)
    return operations


def signature_if_foreign(account: str, artifact: Artifact) -> str:
    """Return a service reads blobs of its own storage account by its own key; any other account needs a signature."""
    if account and account.casefold() == account_of(artifact.location.uri).casefold():
        return ""
    return artifact.signature.get_secret_value()


def settings_body(definition: Definition, changed: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return a PATCH of settings and tags, by the names of `reconciler.targets.new_service.state`."""
    properties: dict[str, Any] = {"packageType": "Graph"}
    for setting in SETTINGS:
        if setting.wire in changed:
            *above, last = setting.place
            holder = properties
            for part in above:
                holder = holder.setdefault(part, {})
            holder[last] = changed[setting.wire]
    body: dict[str, Any] = {"properties": properties}
    tags = {name.removeprefix(TAGS): str(value) for name, value in changed.items() if name.startswith(TAGS)}
    if tags:
        # All of them: it is not known whether a PATCH merges tags (new-protocol 3).
        body["tags"] = with_tags(member(definition, "tags") or {}, tags)
    return body


def patched_definition(definition: Definition, operations: Sequence[PatchOperation]) -> dict[str, Any]:
    """Return a definition after a plan's operations; their tests were compared before."""
    writes = [operation.model_dump(mode="json") for operation in operations if operation.op != "test"]
    try:
        patched: dict[str, Any] = jsonpatch.apply_patch(copy.deepcopy(dict(definition)), writes)
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPointerException) as error:
        raise TargetChangedError("the definition changed after the plan was made; plan again") from error
    return patched


def touched_members(definition: Definition, operations: Sequence[PatchOperation]) -> dict[str, Any]:
    """Return the members of a definition's properties that operations changed, each as a whole."""
    properties = member(definition, "properties")
    names = dict.fromkeys(path_of(operation.path)[1] for operation in operations)
    return {name: properties[name] for name in names if name in properties}


def removes_something(operations: Sequence[PatchOperation]) -> bool:
    """Whether a PATCH may leave something standing that is to go: it merges, nobody knows how deep (new-protocol 3)."""
    return any(operation.op == "remove" for operation in operations)


@dataclass(frozen=True, slots=True)
class Creation:
    """What a service is made of beside its definition. Secrets are plain here: this is made to be sent at once."""

    target: str
    location: str
    account: str
    storage_key: str = field(repr=False)
    plan: str
    keys: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def creation_body(properties: Definition, creation: Creation, artifacts: Artifacts) -> dict[str, Any]:
    """Return a PUT of a whole service that serves the artifacts from its first moment on.

    It names both keys, so that writing it twice makes no other keys (new-protocol 1).

    Raises:
        DefinitionError: the definition has no such trained model.
    """
    made = copy.deepcopy(dict(properties))
    wanted = settings_body({}, {**creation.settings})["properties"]
    for name, value in wanted.items():
        set_member(made, name, value)
    set_member(made, "storageAccount", {"name": creation.account, "key": creation.storage_key})
    set_member(made, "commitmentPlan", {"id": creation.plan})
    set_member(made, "keys", dict(creation.keys))
    for resource, artifact in artifacts.items():
        path = path_of(find_trained_model({"properties": made}, resource).pointer)
        place = member({"properties": made}, *path[:-1])
        place[path[-1]] = artifact.location.uri + signature_if_foreign(creation.account, artifact)
        if (credentials := spelling(place, "credentials")) is not None:
            del place[credentials]
    return {
        "location": creation.location,
        "tags": tags_of_created_service(creation.tags, creation.target, markers_for(artifacts)),
        "properties": made,
    }
