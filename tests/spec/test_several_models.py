"""A target with several models: their markers have to fit where the service keeps them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.plan.states import Marker, VersionKey
from reconciler.spec.documents import ClassicEndpointSpec, NewWebServiceSpec
from reconciler.spec.documents.rules import DESCRIPTION_LIMIT, room_beside
from reconciler.targets.ownership import TooLong, marked_description

ID = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/ml/providers/"
    "Microsoft.MachineLearning/webServices/Houses"
)


def _models(count: int) -> list[dict[str, str]]:
    return [{"resource": f"R{n}", "name": f"{n:02}".ljust(48, "m"), "version": "v" * 40} for n in range(count)]


def _endpoint(models: int, description: str) -> ClassicEndpointSpec:
    return ClassicEndpointSpec.model_validate(
        {"workspace": "w", "webService": "s", "endpoint": "e", "description": description, "models": _models(models)}
    )


@pytest.mark.parametrize("models", [1, 2, 7])
def test_the_room_beside_markers_is_exactly_what_the_service_takes(models: int) -> None:
    markers = [Marker(VersionKey(each["name"], each["version"]), "a" * 12) for each in _models(models)]
    room = room_beside([str(marker.version) for marker in markers])

    assert DESCRIPTION_LIMIT == len(marked_description("x" * room, markers))
    with pytest.raises(TooLong):
        marked_description("x" * (room + 1), markers)


def test_a_description_leaves_room_for_the_marker_of_each_model() -> None:
    assert _endpoint(1, "x" * 1880).description
    assert _endpoint(3, "x" * 1675).description
    with pytest.raises(ValidationError, match="is too long: 1676 characters"):
        _endpoint(3, "x" * 1676)


def test_more_models_than_a_description_has_room_for_are_refused() -> None:
    assert 19 == len(_endpoint(19, "").bindings)
    with pytest.raises(ValidationError, match="names 20 models, and their markers do not fit"):
        _endpoint(20, "")


def test_more_models_than_a_tag_has_room_for_are_refused() -> None:
    assert NewWebServiceSpec.model_validate({"resourceId": ID, "models": _models(2)}).bindings
    with pytest.raises(ValidationError, match="names 3 models, and their markers do not fit into a tag"):
        NewWebServiceSpec.model_validate({"resourceId": ID, "models": _models(3)})
