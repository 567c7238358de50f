"""Web services that were published as code, and the bundle that each of their endpoints runs (classic-protocol 1.3).

A bundle is bound to an execution service as a trained model is: a new one takes effect after the same time, and it is
never shown as an updatable resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler.emulator.classic.services import DEFAULT_ENDPOINT, DESCRIPTION_OF_DEFAULT, ClassicServices, timestamp
from reconciler.emulator.config.studio_file import Workspace
from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.code_bundle import BUNDLES, CodeBundle, read_bundle
from reconciler.emulator.execution.errors import ServiceError, refused
from reconciler.emulator.execution.services import CODE, BoundModel
from reconciler.emulator.execution.wire_format import member

_ID = re.compile(r"[0-9a-f]{32}")


class CodeServices:
    """The code services: publishing them, and forgetting bundles that nothing runs any more."""

    def __init__(self, context: Context, classic: ClassicServices) -> None:
        self._context = context
        self._classic = classic
        self._bundles = context.documents.collection(BUNDLES)

    def publish(self, workspace: Workspace, given_id: str, body: Document) -> tuple[Document, bool]:
        """Make a code service with its ``default`` endpoint, or give an existing service new code.

        An update leaves id, keys and endpoints as they are. As with a republished experiment, ``default`` follows it,
        and an added endpoint does when it is refreshed [I].

        Returns:
            The service, and whether it is new.

        Raises:
            ServiceError: 400; 409 if the id is that of another workspace's service.
        """
        bundle = read_bundle(body)
        service_id = given_id.replace("-", "").lower()
        if not _ID.fullmatch(service_id):
            raise refused("WebServiceIdInvalid", f"The id {given_id!r} of the web service is no GUID.")
        existing = self._classic.services(workspace.id).get(service_id)
        if existing is not None and existing["Experiment"] is not None:
            raise refused(
                "WebServiceTypeInvalid", "This web service was deployed from an experiment; it cannot become code."
            )
        if existing is None and any(
            service_id in self._classic.services(w.id) for w in self._context.studio.workspaces
        ):
            raise ServiceError(409, "Conflict", f"Resource already exists: web service {service_id} of a workspace.")
        name = _name(body, existing)
        with self._context.documents.transaction():
            self._bundles[bundle.digest] = bundle.document()
            if existing is None:
                service = self._make(workspace, service_id, name, bundle)
            else:
                service = self._update(workspace, existing, name, bundle)
            self.prune()
        return service, existing is None

    def prune(self) -> None:
        """Forget the bundles that no endpoint runs or will run."""
        used = set(self._used())
        for digest in self._bundles:
            if digest not in used:
                del self._bundles[digest]

    def _make(self, workspace: Workspace, service_id: str, name: str, bundle: CodeBundle) -> Document:
        now = timestamp(self._context.clock())
        service = {
            "Id": service_id,
            "Name": name,
            "Description": "",
            "CreationTime": now,
            "Experiment": None,
            "Code": bundle.digest,
        }
        self._classic.services(workspace.id)[service_id] = service
        self._classic.add_endpoint(
            workspace,
            service,
            DEFAULT_ENDPOINT,
            description=DESCRIPTION_OF_DEFAULT,
            throttle_level="Low",
            max_concurrent_calls=self._context.studio.limits.low_throttle_calls,
        )
        return service

    def _update(self, workspace: Workspace, existing: Document, name: str, bundle: CodeBundle) -> Document:
        now = timestamp(self._context.clock())
        service = {**existing, "Name": name, "Code": bundle.digest, "PublishedAt": now}
        self._classic.services(workspace.id)[service["Id"]] = service
        for endpoint in self._classic.endpoints(service["Id"]).values():
            # Its execution API has the service's name as its title.
            self._classic.store_endpoint(workspace, service, endpoint)
            if endpoint["Name"] == DEFAULT_ENDPOINT:
                self._classic.rebind_code(workspace, service, endpoint)
        return service

    def _used(self) -> Iterator[str]:
        for workspace in self._context.studio.workspaces:
            for service in self._classic.services(workspace.id).values():
                if service["Experiment"] is None:
                    yield service["Code"]
                    for endpoint in self._classic.endpoints(service["Id"]).values():
                        yield from _bound(self._context, self._classic.path_of(workspace.id, endpoint))


def _bound(context: Context, path: str) -> Iterator[str]:
    binding = context.execution.binding(path, CODE)
    if binding is not None:
        bound: tuple[BoundModel | None, ...] = (binding.model, binding.next)
        yield from (model.digest for model in bound if model is not None)


def _name(body: Document, existing: Document | None) -> str:
    given: Any = member(body, "Name")
    if existing is not None and given in {None, ""}:
        # One client sends no name with an update: the service keeps the one that it has [O].
        return str(existing["Name"])
    if not isinstance(given, str) or not given.strip():
        raise refused("BadArgument", "The Name of the web service is missing.")
    return given
