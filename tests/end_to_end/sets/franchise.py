"""A bike-rental franchise: its Studio, its data as blobs, and a user's directory with the set over its locations."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.storage.blob.aio import BlobServiceClient

from reconciler.store import Store
from tests.end_to_end.sets import rental_data
from tests.support.studio import Desk, Studio, running

TREE = Path(__file__).with_name("bike_rental")
LABEL = "2026-11"
SERVICE = "Bike Rental Scoring"
# One and the same hour everywhere: a working day in June, at five, warm and clear.
HOUR = {
    "season": 2, "yr": 1, "mnth": 6, "hr": 17, "holiday": 0, "weekday": 3, "workingday": 1, "weathersit": 1,
    "temp": 0.7, "atemp": 0.68, "hum": 0.5, "windspeed": 0.1,
}  # fmt: skip


@contextlib.contextmanager
def open_studio(home: Path, locations: int) -> Iterator[Studio]:
    """The franchise's Studio with the data of so many locations; ``home`` is where it lives."""
    shutil.copytree(TREE, home, dirs_exist_ok=True)
    rental_data.write(home / "data", locations)
    with running(home / "state", "--studio", str(home / "studio.yaml")) as studio:
        data = {file.name: file.read_bytes() for file in sorted((home / "data").glob("BikeRental[0-9]*.csv"))}
        asyncio.run(_upload(studio.secrets()["CONTOSO_STORAGE"], data))
        yield studio


async def _upload(account: str, data: dict[str, bytes]) -> None:
    async with BlobServiceClient.from_connection_string(account) as blobs:
        container = blobs.get_container_client("rentals")
        places = asyncio.Semaphore(16)

        async def one(name: str, content: bytes) -> None:
            async with places:
                await container.upload_blob(name, content)

        await asyncio.gather(*(one(name, content) for name, content in data.items()))


@dataclass
class Franchise(Desk):
    """A user's directory with a set of the franchise's locations."""

    name: str = "bike-rental"
    prefix: str = "rentalloc"

    def write(self, locations: list[str], **changes: Any) -> None:
        """Write the set over these locations; ``changes`` are put into its spec as they are."""
        specs = self.home / "specs"
        specs.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / "contoso.yaml", specs)
        text = (TREE / "bike-rental.yaml").read_text()
        text = text.replace("name: bike-rental}", f"name: {self.name}}}").replace("rentalloc", self.prefix)
        for field, value in changes.items():
            text += f"  {field}: {json.dumps(value)}\n"
        (specs / "bike-rental.yaml").write_text(text)
        rows = [f"{location},Location {location}\n" for location in locations]
        (specs / "locations.csv").write_text("".join(["location,name\n", *rows]))

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs of this set's models that were ever started."""
        inside = f"/{self.name}-"
        return [
            job
            for job in self.studio.jobs()
            if job["queuedAt"] is not None and any(inside in place for place in job["outputs"].values())
        ]

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """The set's endpoints as the service shows them, by location."""
        base = self._service()
        listed = self.studio.send("GET", f"{base}/endpoints", self.studio.token())
        return {each["Name"].removeprefix(self.prefix): each for each in listed if each["Name"].startswith(self.prefix)}

    def delete(self, location: str) -> None:
        """Delete an endpoint outside reconciler."""
        self.studio.send("DELETE", f"{self._service()}/endpoints/{self.prefix}{location}", self.studio.token())

    def describe(self, location: str, text: str) -> None:
        """Rewrite an endpoint's description outside reconciler."""
        path = f"{self._service()}/endpoints/{self.prefix}{location}"
        self.studio.send("PATCH", path, self.studio.token(), {"Description": text})
        # A patch may take its time to be seen, and nobody else is to look before that.
        seen = (self.studio.send("GET", path, self.studio.token()).get("Description") == text for _ in range(2000))
        assert any(seen)

    def predictions(self) -> dict[str, float]:
        """What each endpoint predicts for one and the same hour, by location."""
        return {location: self._prediction(endpoint) for location, endpoint in self.endpoints().items()}

    def _prediction(self, endpoint: dict[str, Any]) -> float:
        execute = f"{endpoint['ApiLocation']}/execute?api-version=2.0&details=true"
        table = {"ColumnNames": list(HOUR), "Values": [[str(value) for value in HOUR.values()]]}
        body = {"Inputs": {"input1": table}, "GlobalParameters": {}}
        answer = self.studio.send("POST", execute.removeprefix(self.studio.url), endpoint["PrimaryKey"], body)
        (output,) = answer["Results"].values()
        names, (values,) = output["value"]["ColumnNames"], output["value"]["Values"]
        return float(dict(zip(names, values, strict=True))["Scored Labels"])

    def open_store(self) -> Store:
        """The store as it is now, to read."""
        return Store.open(self.store, clock=lambda: datetime.now(UTC), read_only=True)

    def _service(self) -> str:
        services = "/workspaces/3ad1c2b4e5f60718293a4b5c6d7e8f90/webservices"
        listed = self.studio.send("GET", services, self.studio.token())
        return next(f"{services}/{each['Id']}" for each in listed if each["Name"] == SERVICE)


def numbers(first: int, last: int) -> list[str]:
    """Locations as they are written: 001 to 100."""
    return [f"{number:03}" for number in range(first, last + 1)]
