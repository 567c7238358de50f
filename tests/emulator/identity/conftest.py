"""A running Studio as a stranger meets it: by its cloud file and its env file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"


@dataclass(frozen=True)
class Door:
    """What the two files say."""

    cloud: dict[str, Any]
    environ: dict[str, str] = field(repr=False)
    ca_file: str

    @property
    def authority(self) -> str:
        return str(self.cloud["signIn"]["authority"])

    @property
    def resource_manager(self) -> str:
        return str(self.cloud["resourceManagerUrl"])

    @property
    def identity(self) -> tuple[str, str]:
        return self.environ["AZURE_TENANT_ID"], self.environ["AZURE_CLIENT_ID"]

    def options(self, **changes: Any) -> dict[str, Any]:
        """What every credential of azure-identity has to be told."""
        trust = {"disable_instance_discovery": True, "connection_verify": self.ca_file}
        return {"authority": self.authority, **trust, **changes}


@pytest.fixture
def door() -> Callable[[Any], Door]:
    """Reads the files of a Studio."""

    def opened(studio: Any) -> Door:
        cloud = json.loads(studio.cloud_file.read_text("utf-8"))
        lines = (line.partition("=") for line in studio.env_file.read_text("utf-8").splitlines())
        environ = {name: shlex.split(value)[0] for name, _, value in lines}
        return Door(cloud, environ, str(studio.cloud_file.parent / cloud["caFile"]))

    return opened


@pytest.fixture
def studio_door(studio: Any, door: Callable[[Any], Door]) -> Door:
    """That of `studio`."""
    return door(studio)


@pytest.fixture
def script() -> Path:
    return Path(__file__).with_name("azure_libraries_only.py")
