"""The proof that a Classic endpoint serves what was written to it: read back, and scored.

No answer of the service is one (classic-protocol 1.7): a ``PATCH`` is accepted first and takes effect about 30 s later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.azure.clouds import Cloud
from reconciler.plan.reasons import VERSION
from reconciler.plan.states import DesiredTarget, LiveBinding, LiveTarget, Proof, Scalar
from reconciler.spec.documents.rules import note_length
from reconciler.targets import probing
from reconciler.targets.classic.state import is_copy
from reconciler.targets.classic.writer import Before
from reconciler.targets.driver import Artifacts, Notify, TargetError, Verified
from reconciler.targets.ownership import markers_for
from reconciler.targets.polling import Patience

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Verification:
    """What it takes to prove one target.

    Attributes:
        cloud: Says how long a change takes to settle.
        target: The target.
        artifacts: What it is to serve; none when only its settings are managed.
        before: What it showed as its models before this pass wrote them; None if it did not.
        written: Whether this pass wrote anything to it, so that it has the ownership marker.
        read: Reads it again.
        score: Its answers to the probe, or None.
        notify: Takes what is being waited for.
    """

    cloud: Cloud
    target: DesiredTarget
    artifacts: Artifacts
    before: Before | None
    written: bool
    read: Callable[[], Awaitable[LiveTarget]]
    score: Callable[[], Awaitable[str | None]]
    notify: Notify

    async def verified(self, before: str | None) -> Verified:
        """See `reconciler.targets.driver.Driver.verify`.

        Raises:
            ServiceError: it cannot be read.
            TargetError: it does not show what was written.
        """
        live = await self._read_back()
        shown = {resource: found.location for resource, found in live.bound.items() if found.location is not None}
        replaced = {} if self.before is None else self.before.replaced
        for resource, artifact in self.artifacts.items():
            place = shown.get(resource)
            if place is None or place == artifact.location:
                continue
            if place == replaced.get(resource) or not is_copy(place, artifact):
                raise TargetError(f"the endpoint shows {place.uri} as its model, not {artifact.location.uri}")
        if not self._is_noted(live):
            raise TargetError("The service answered with success, but the endpoint does not have the ownership marker")
        ignored_settings = {
            name: value for name, value in self.target.settings.items() if live.settings.get(name) != value
        }
        if self.target.refresh and live.stale:
            # It was asked for before this, or no pass asks for it any more.
            ignored_settings[VERSION] = live.published
        if not self.artifacts:
            return Verified(Proof.PROVEN, "the endpoint shows its settings", None, ignored_settings)
        if all(shown.get(resource) == artifact.location for resource, artifact in self.artifacts.items()):
            return Verified(Proof.PROVEN, "the endpoint shows the new location", await self.score(), ignored_settings)
        verified = await self._by_probe(before, ignored_settings)
        return replace(verified, shown={resource: shown[resource] for resource in self.artifacts if resource in shown})

    async def _read_back(self) -> LiveTarget:
        """Return the endpoint as soon as it shows what was written to it, else as it is when that should have settled.

        Whether a read shows a PATCH before it has taken effect is unknown (classic-protocol 6).
        """
        patience = Patience(self.cloud.settle, self.cloud.poll, tries=_TRIES)
        while True:
            live = await self.read()
            taken = all(live.settings.get(name) == value for name, value in self.target.settings.items())
            if (self._is_noted(live) and self._moved(live.bound) and taken) or not await patience.again():
                return live
            self.notify("waiting for the endpoint to show the update")

    def _is_noted(self, live: LiveTarget) -> bool:
        """Return whether the endpoint has the ownership marker; one without a managed model may have none."""
        markers = markers_for(self.artifacts)
        if live.marker_room is not None and live.marker_room < note_length([str(marker.version) for marker in markers]):
            return True
        return live.markers == markers if markers else live.managed or not self.written

    def _moved(self, bound: Mapping[str, LiveBinding]) -> bool:
        shown = {resource: bound.get(resource, LiveBinding()).location for resource in self.artifacts}
        before = {} if self.before is None else {**self.before.rewritten, **self.before.replaced}
        return all(
            shown[resource] is None or shown[resource] == artifact.location or shown[resource] != before.get(resource)
            for resource, artifact in self.artifacts.items()
        )

    async def _by_probe(self, before: str | None, ignored_settings: Mapping[str, Scalar]) -> Verified:
        if before is None:
            if self.before is not None:
                # Answers of the model before it, taken for its own, would look like drift in every later pass.
                self.notify("waiting for the new model to take effect")
                await asyncio.sleep(self.cloud.settle.total_seconds())
            answers = await self.score()
            text = "the endpoint has the marker; there are no earlier answers to compare with"
            return Verified(Proof.ACCEPTED, text, answers, ignored_settings)
        self.notify("waiting for the endpoint to score with the new model")
        answers = await probing.until_changed(self.score, before, settle=self.cloud.settle, first_pause=self.cloud.poll)
        if answers is None:
            return Verified(
                Proof.ACCEPTED, "the endpoint has the marker; the probe could not be scored", None, ignored_settings
            )
        if probing.comparable(before, answers) and answers != before:
            return Verified(Proof.PROVEN, "the answers to the probe changed", answers, ignored_settings)
        return Verified(
            Proof.ACCEPTED, "the endpoint has the marker; the answers did not change", answers, ignored_settings
        )
