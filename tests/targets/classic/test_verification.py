"""What is taken for a proof that a Classic endpoint serves what was written to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.azure.clouds import Cloud
from reconciler.plan.states import DesiredTarget, LiveBinding, LiveTarget, Location, Proof, VersionKey
from reconciler.targets.classic.verification import Verification
from reconciler.targets.classic.writer import Before
from reconciler.targets.driver import Artifact, TargetError, Verified
from reconciler.targets.ownership import markers_for

_CLOUD = Cloud("test", "https://arm.example", "https://arm.example/", settle=timedelta(0), poll=timedelta(0))
_TARGET = DesiredTarget("pair", "ClassicEndpoint", "w/s/pair")
_OURS, _COPIES = "https://contoso.blob.example/", "https://studio.blob.example/"


def _artifact(model: str) -> Artifact:
    key = VersionKey(model, "one")
    return Artifact(key, "f" * 64, Location(_OURS, f"models/{model}/one.ilearner"), SecretStr("?sig"))


_ARTEFACTS = {"ears": _artifact("ears"), "eyes": _artifact("eyes")}


def _copy(name: str) -> Location:
    return Location(_COPIES, f"copies/{name}.ilearner")


def _verified(
    *shown: dict[str, Location], replaced: dict[str, Location], rewritten: dict[str, Location] | None = None
) -> Verified:
    """The proof of an endpoint that shows copies of its models: these at each look, and the last ones from then on."""
    looks = list(shown)

    async def read() -> LiveTarget:
        now = looks.pop(0) if len(looks) > 1 else looks[0]
        bound = {resource: LiveBinding(location) for resource, location in now.items()}
        return LiveTarget(_TARGET.identity, exists=True, bound=bound, markers=markers_for(_ARTEFACTS))

    async def score() -> str:
        return "rows:after"

    before = Before(replaced, rewritten or {})
    given: Any = {"cloud": _CLOUD, "target": _TARGET, "artifacts": _ARTEFACTS, "before": before}
    proving = Verification(**given, written=True, read=read, score=score, notify=lambda _: None)
    return asyncio.run(proving.verified("rows:before"))


def test_a_model_that_is_written_once_more_may_be_shown_where_it_was() -> None:
    """A service may name its copy by the content, which is the same."""
    verified = _verified({"ears": _copy("new"), "eyes": _copy("same")}, replaced={"ears": _copy("old")})

    assert Proof.PROVEN is verified.proof
    assert {"ears": _copy("new"), "eyes": _copy("same")} == verified.shown


def test_a_model_that_should_have_moved_and_is_shown_where_it_was_has_not_moved() -> None:
    with pytest.raises(TargetError, match=r"shows https://studio\.blob\.example/copies/old\.ilearner as its model"):
        _verified({"ears": _copy("old"), "eyes": _copy("same")}, replaced={"ears": _copy("old")})


def test_of_a_model_that_is_written_once_more_the_copy_that_comes_of_it_is_remembered() -> None:
    """Else the new copy would look foreign as soon as the write has taken effect."""
    before, after = _copy("before"), _copy("after")
    verified = _verified(
        {"ears": before, "eyes": before}, {"ears": after, "eyes": after}, replaced={}, rewritten={"ears": before}
    )

    assert {"ears": after, "eyes": after} == verified.shown


def test_an_endpoint_that_still_seems_stale_after_its_refresh_is_remembered_as_such() -> None:
    """A service whose ``Version`` never moves would be refreshed in every pass (classic-protocol 1.8)."""
    published = "2026-11-24T09:00:00+00:00"

    async def read() -> LiveTarget:
        return LiveTarget(_TARGET.identity, exists=True, stale=True, published=published)

    async def score() -> None:
        return None

    def ignored_settings(target: DesiredTarget) -> Any:
        given: Any = {"cloud": _CLOUD, "target": target, "artifacts": {}, "before": None}
        proving = Verification(**given, written=False, read=read, score=score, notify=lambda _: None)
        return asyncio.run(proving.verified(None)).ignored_settings

    assert {"Version": published} == ignored_settings(replace(_TARGET, refresh=True))
    assert {} == ignored_settings(_TARGET)
