"""The data sets of the studio file: written to their blobs at the first start, and shown as examples."""

import asyncio
from dataclasses import dataclass, field

from reconciler.emulator.config.studio_file import Dataset, StudioFileError, TrainingExperiment
from reconciler.emulator.context import Context
from reconciler.emulator.ml.csv_table import read_table
from reconciler.emulator.ml.types import FORMATS, Column, Scalar, TrainingError

_EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class Example:
    """Columns and a few rows of a data set."""

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Scalar], ...]


@dataclass
class TrainingData:
    """The data sets, read or made when they are first asked for."""

    context: Context
    _csv: dict[str, bytes] = field(default_factory=dict, repr=False)
    _examples: dict[str, Example] = field(default_factory=dict, repr=False)

    async def csv(self, dataset: Dataset) -> bytes:
        """Return a data set as CSV.

        Raises:
            StudioFileError: its file cannot be read, or scikit-learn's set has fewer rows.
        """
        if dataset.name not in self._csv:
            source = dataset.source
            try:
                if source.file is not None:
                    self._csv[dataset.name] = await asyncio.to_thread(source.file.read_bytes)
                else:
                    self._csv[dataset.name] = await self.context.workers.dataset(
                        str(source.sklearn), source.rows or _all_rows(str(source.sklearn))
                    )
            except (OSError, ValueError) as error:
                raise StudioFileError(f"data set {dataset.name!r}: {error}") from error
        return self._csv[dataset.name]

    async def example(self, experiment: TrainingExperiment) -> Example | None:
        """Return example rows of a training experiment's data, if the studio file names such data."""
        if experiment.example_data is None:
            return None
        if experiment.example_data not in self._examples:
            data = await self.csv(self.context.studio.dataset(experiment.example_data))
            self._examples[experiment.example_data] = await asyncio.to_thread(_example, data)
        return self._examples[experiment.example_data]

    async def write_blobs(self) -> None:
        """Write each data set to its blob, once in the life of the state."""
        seeded = self.context.documents.collection("seeded")
        for dataset in self.context.studio.datasets:
            place = dataset.blob
            key = f"dataset/{dataset.name}{self.context.storage.seeding(place.account)}"
            if key in seeded:
                continue
            data = await self.csv(dataset)
            await self.context.storage.seed(place.account, place.container, place.blob, data)
            seeded[key] = {}


def _all_rows(name: str) -> int:
    return {"breast-cancer": 569, "diabetes": 442}[name]


def _example(data: bytes) -> Example:
    try:
        table = read_table(data)
    except TrainingError as error:
        raise StudioFileError(error.message) from error
    typed = [table.typed(index)[:_EXAMPLE_ROWS] for index in range(len(table.names))]
    return Example(
        tuple(Column(name, kind, FORMATS[kind]) for name, kind in zip(table.names, table.types, strict=True)),
        tuple(dict(zip(table.names, row, strict=True)) for row in zip(*typed, strict=True)),
    )
