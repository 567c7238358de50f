"""One franchise's Studio for a worker's tests; each test has a set of its own name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.sets.franchise import Franchise, open_studio
from tests.support.studio import Studio

LOCATIONS = 24


@pytest.fixture(scope="session")
def rentals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The Studio with the data of 24 locations."""
    with open_studio(tmp_path_factory.mktemp("franchise"), LOCATIONS) as studio:
        yield studio


@pytest.fixture
def franchise(rentals: Studio, tmp_path: Path, request: pytest.FixtureRequest) -> Franchise:
    """A user's directory without specs yet; its set is named for the test."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    return Franchise(tmp_path, rentals, name=f"set-{name}", prefix=f"s{name}")
