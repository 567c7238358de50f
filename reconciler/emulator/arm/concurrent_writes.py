"""A write of a New web service while another one is under way: refused, put into a queue, or let in at once.

What really happens is not found (new-protocol, "Not found"); `Behaviour.write_while_provisioning` says what does here.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.emulator.arm.errors import conflict
from reconciler.emulator.arm.operations import Operation, Operations
from reconciler.emulator.arm.web_services import WebService
from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.documents import Documents


class SecondWrites:
    """The rule for a write whose service is busy, and the order of those that wait."""

    def __init__(self, documents: Documents, behaviour: Behaviour) -> None:
        self._waits_for = documents.collection("waiting-operations")
        self._rule = behaviour.write_while_provisioning

    def check(self, service: WebService | None) -> None:
        """Raise the 409 if a write is under way and another one is refused for that."""
        if service is not None and service.operation and self._rule == "conflict":
            raise conflict(
                "WebServiceProvisioning", f"The web service '{service.name}' is being provisioned. Try again later."
            )

    def base(self, service: WebService, operations: Operations) -> WebService:
        """Return what a write builds on: the live definition, or in a queue what will be live when its turn comes.

        Where the last one wins, it builds on the live one too, and so undoes the write that it overtakes. In a queue,
        a write that fails takes those that were built on it down with it.
        """
        pending = operations.find(service.operation) if service.operation and self._rule == "queue" else None
        if pending is None or pending.proposal is None:
            return service
        proposal = pending.proposal
        names = ("tags", "properties", "keys", "storage_key")
        return replace(service, **{name: proposal[name] for name in names})

    def waits(self, operation: Operation, service: WebService) -> None:
        """Record whose end the operation waits for; to be called before the operation begins."""
        if service.operation and self._rule == "queue":
            self._waits_for[operation.id] = {"for": service.operation}

    async def turn(self, operation: Operation, operations: Operations) -> None:
        """Wait until it is this operation's turn."""
        if (found := self._waits_for.get(operation.id)) is not None:
            await operations.ended(found["for"])
            self._waits_for.pop(operation.id, None)
