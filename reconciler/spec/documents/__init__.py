"""The documents that users write (design 3.1), as frozen values.

In a file the names are camelCase, here they are snake_case. A field left out of a document is None here and
is not managed: the live side keeps what it has. Rules of a single value are in `reconciler.spec.documents.rules`,
rules between documents in `reconciler.spec.references`.
Which kinds of target there are is for the caller to say: see `reconciler.targets.kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from reconciler.spec.documents.base import (
    API_VERSION,
    Document,
    Metadata,
    ModelMetadata,
    Part,
    Reference,
    SecretReference,
)
from reconciler.spec.documents.classic_endpoint import (
    ClassicEndpoint,
    ClassicEndpointSpec,
    ThrottleLevel,
)
from reconciler.spec.documents.endpoint_set import (
    SET_LABEL,
    EndpointSet,
    EndpointSetSpec,
)
from reconciler.spec.documents.model import (
    BlobInput,
    ClassicTraining,
    DataSource,
    FileInput,
    Gate,
    Model,
    ModelSpec,
    NewTraining,
    Outputs,
    ReadyLocation,
    ReadyVersion,
    ResolvedTraining,
    Training,
    UrlInput,
)
from reconciler.spec.documents.new_web_service import (
    DefinitionFile,
    NewKeys,
    NewSettings,
    NewStorage,
    NewWebService,
    NewWebServiceSpec,
)
from reconciler.spec.documents.serving import (
    ModelUse,
    Probe,
    Serving,
    Target,
    TraceLevel,
)
from reconciler.spec.documents.workspace import (
    Storage,
    Workspace,
    WorkspaceSpec,
)

__all__ = [
    "API_VERSION",
    "SET_LABEL",
    "BlobInput",
    "ClassicEndpoint",
    "ClassicEndpointSpec",
    "ClassicTraining",
    "DataSource",
    "DefinitionFile",
    "Document",
    "EndpointSet",
    "EndpointSetSpec",
    "FileInput",
    "Gate",
    "Kinds",
    "Metadata",
    "Model",
    "ModelMetadata",
    "ModelSpec",
    "ModelUse",
    "NewKeys",
    "NewSettings",
    "NewStorage",
    "NewTraining",
    "NewWebService",
    "NewWebServiceSpec",
    "Outputs",
    "Part",
    "Probe",
    "ReadyLocation",
    "ReadyVersion",
    "Reference",
    "ResolvedTraining",
    "SecretReference",
    "Serving",
    "Storage",
    "Target",
    "ThrottleLevel",
    "TraceLevel",
    "Training",
    "UrlInput",
    "Workspace",
    "WorkspaceSpec",
    "kinds_of",
]

Kinds: TypeAlias = Mapping[str, type[Document]]
"""The kinds of document that a spec tree may have, by the names that ``kind`` gives them."""


def kinds_of(targets: Iterable[type[Target]]) -> Kinds:
    """Return all kinds of document, those of targets being these."""
    every: tuple[type[Document], ...] = (Workspace, Model, *targets, EndpointSet)
    return {kind.kind_name(): kind for kind in every}
