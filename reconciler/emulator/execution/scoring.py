"""The request/response service: rows in, scored rows out, in both body forms; and each service's API document.

(classic-protocol 2; new-protocol 4: New services speak the same protocol under another path.)
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import TrainingExperiment
from reconciler.emulator.context import Context
from reconciler.emulator.execution.access import EXECUTION_ROUTE, check_api_version, find_service
from reconciler.emulator.execution.batch_request import read_parameters
from reconciler.emulator.execution.code_bundle import CodeBundle
from reconciler.emulator.execution.code_runs import CodeFailed
from reconciler.emulator.execution.columns import check_columns, known_columns
from reconciler.emulator.execution.errors import (
    Detail,
    ServiceError,
    bad_argument,
    bad_user_argument,
    json_object,
    origin,
    service_unavailable,
)
from reconciler.emulator.execution.initial_models import initial_models
from reconciler.emulator.execution.model_loading import CannotLoad, Loaded, load
from reconciler.emulator.execution.programs import program_of
from reconciler.emulator.execution.services import BoundModel, ExecutionService
from reconciler.emulator.execution.swagger import code_swagger, predictive_swagger, training_swagger
from reconciler.emulator.execution.training_data import TrainingData
from reconciler.emulator.ml.types import Scalar, Scored, ScoringError, TrainingError
from reconciler.emulator.ml.workers import WorkerDied


@dataclass(frozen=True)
class Rows:
    """The rows of a request: names, and values by position."""

    columns: Sequence[str]
    values: Sequence[Sequence[Scalar]]


class Scoring:
    """Execute and swagger.json of every execution service."""

    def __init__(self, context: Context, training_data: TrainingData) -> None:
        self._context = context
        self._training_data = training_data
        self._calls: Counter[str] = Counter()
        self._warm: set[tuple[str, str]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes below each execution service."""
        return [
            web.post(f"{EXECUTION_ROUTE}/execute", self.execute),
            web.get(f"{EXECUTION_ROUTE}/swagger.json", self.swagger),
        ]

    async def execute(self, request: web.Request) -> web.Response:
        """POST …/execute: ``format=swagger`` chooses rows as objects, else it is columns and values."""
        service = find_service(self._context, request)
        check_api_version(request)
        program = program_of(self._context, service)
        if isinstance(program, TrainingExperiment):
            raise bad_argument(
                "WebServiceTypeInvalid", "A training service has no scoring; run it with the batch execution service."
            )
        as_objects = request.query.get("format", "").lower() == "swagger"
        with self._one_call(service):
            body = await json_object(request, empty_is="RequestIsEmpty", invalid_is="RequestBodyInvalid")
            read_parameters(body, ())
            rows = read_rows(body, program.input, as_objects=as_objects)
            scored = await self._scored(service, program, rows)
        detailed = request.query.get("details", "").lower() == "true"
        return web.json_response(
            {
                "Results": {
                    output: results(table, as_objects=as_objects, detailed=detailed) for output, table in scored.items()
                }
            }
        )

    async def swagger(self, request: web.Request) -> web.Response:
        """GET …/swagger.json, for anyone."""
        return await self.document(request, find_service(self._context, request, key_needed=False))

    async def document(self, request: web.Request, service: ExecutionService) -> web.Response:
        """Return the API document of a service, with URLs as this caller can reach them."""
        program = program_of(self._context, service)
        here = origin(request)
        if isinstance(program, CodeBundle):
            return web.json_response(code_swagger(service, program, here))
        if isinstance(program, PredictiveExperiment):
            # The interface is fixed when the experiment is deployed [I]: a PATCH changes the model, not the columns.
            made = initial_models(self._context, program)
            digests = [made[model.trained_model].digest for model in program.scored]
            workers, models = self._context.workers, self._context.models
            descriptions = [await workers.describe(models.read(digest), digest) for digest in digests]
            return web.json_response(predictive_swagger(service, program, descriptions, here))
        example = await self._training_data.example(program)
        return web.json_response(training_swagger(service, program, example, here))

    @contextmanager
    def _one_call(self, service: ExecutionService) -> Iterator[None]:
        """Count a call against the endpoint's limit (classic-protocol 2: beyond it, 503)."""
        if self._calls[service.path] >= service.max_concurrent_calls:
            raise service_unavailable(
                "TooManyConcurrentRequests",
                f"{service.endpoint or service.title} answers {service.max_concurrent_calls} calls at one time.",
            )
        self._calls[service.path] += 1
        try:
            yield
        finally:
            self._calls[service.path] -= 1
            if not self._calls[service.path]:
                del self._calls[service.path]

    async def _scored(
        self, service: ExecutionService, program: PredictiveExperiment | CodeBundle, rows: Rows
    ) -> dict[str, Scored]:
        """Return the scores of each model, or what the code gives, by the name of its output."""
        try:
            if isinstance(program, CodeBundle):
                self._check_initialized(service, program.digest)
                return {program.output: await self._context.code.run(program, rows.columns, rows.values)}
            return await self._score(service, program, rows)
        except CodeFailed as error:
            status = 413 if error.code == "MemoryQuotaViolation" else 400
            detail = Detail(error.detail, error.message, error.target)
            raise ServiceError(status, error.code, "Module execution encountered an error.", detail) from error
        except TrainingError as error:
            unusable = Detail("ResourceLoadFailed", "The blob of the trained model holds something else now.")
            raise ServiceError(500, "InternalError", "Scoring failed.", unusable) from error
        except ScoringError as error:
            raise bad_user_argument(error.code, error.message) from error
        except TimeoutError as error:
            late = Detail("ScoreRequestTimeout", "Scoring took longer than the service allows.")
            raise ServiceError(408, "RequestTimeout", "The request timed out.", late) from error
        except WorkerDied as error:
            dead = Detail("ContainerProcessTerminatedWithSystemError", "The process that scores has ended.")
            raise ServiceError(500, "InternalError", "Scoring failed.", dead) from error

    async def _score(
        self, service: ExecutionService, experiment: PredictiveExperiment, rows: Rows
    ) -> dict[str, Scored]:
        workers = self._context.workers
        loaded = {model.output: await self._load(service, model.trained_model) for model in experiment.scored}
        self._check_initialized(service, " ".join(digest for _, digest in loaded.values()))
        async with asyncio.timeout(self._context.studio.timings.score_timeout.total_seconds()):
            about = {output: await workers.describe(*model) for output, model in loaded.items()}
            check_columns(rows.columns, list(about.values()))
            return {
                output: await workers.score(*model, *known_columns(rows.columns, rows.values, about[output]))
                for output, model in loaded.items()
            }

    def _check_initialized(self, service: ExecutionService, digest: str) -> None:
        """Refuse the first call after a start or an update with 503, where that is the setting."""
        if (
            self._context.studio.behaviour.first_scoring_call == "initializing"
            and (service.path, digest) not in self._warm
        ):
            self._warm.add((service.path, digest))
            raise ServiceError(503, "InitializingContainers", "The containers of the service are being initialized.")

    async def _load(self, service: ExecutionService, resource: str) -> Loaded:
        try:
            return await load(self._context, self._bound(service, resource))
        except CannotLoad as error:
            lost = Detail("ResourceDownload", f"The trained model cannot be read any more: {error}")
            raise ServiceError(500, "InternalError", "Scoring failed.", lost) from error

    def _bound(self, service: ExecutionService, resource: str) -> BoundModel:
        bound = self._context.execution.model(service.path, resource)
        if bound is None:
            missing = Detail("ModelPackageNotFound", f"The service has no {resource!r}.")
            raise ServiceError(404, "NotFound", "Not found.", missing)
        return bound


def read_rows(body: Mapping[str, Any], input_name: str, *, as_objects: bool) -> Rows:
    """Return the rows of an execute request.

    Args:
        body: the JSON object.
        input_name: the service's one input; its name is case-sensitive (classic-protocol 2).
        as_objects: rows are objects, as with ``format=swagger``; else a table of ColumnNames and Values.

    Raises:
        ServiceError: 400.
    """
    inputs = body.get("Inputs")
    if not isinstance(inputs, dict):
        raise bad_argument("MissingRequestInput", "The request has no Inputs.")
    if unknown := [name for name in inputs if name != input_name]:
        raise bad_argument("InvalidInputNames", f"The service has no input {unknown[0]!r}; it has {input_name!r}.")
    if input_name not in inputs:
        raise bad_argument("MissingRequestInput", f"The request has no rows for the input {input_name!r}.")
    content = inputs[input_name]
    rows = _rows_of_objects(content) if as_objects else _rows_of_table(content)
    for row in rows.values:
        for value in row:
            if not isinstance(value, str | int | float | bool | None):
                raise bad_user_argument("InputParseError", "A value of a row is a list or an object.")
    return rows


def _rows_of_objects(content: Any) -> Rows:
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise bad_argument("RequestBodyInvalid", "With format=swagger an input is an array of objects.")
    # In the order of first mention; a name that a row leaves out is a missing value there.
    columns = list(dict.fromkeys(name for row in content for name in row))
    return Rows(columns, [[row.get(name) for name in columns] for row in content])


def _rows_of_table(content: Any) -> Rows:
    if not isinstance(content, dict):
        raise bad_argument("RequestBodyInvalid", "An input is an object with ColumnNames and Values.")
    columns, values = content.get("ColumnNames"), content.get("Values")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise bad_argument("RequestBodyInvalid", "ColumnNames is not an array of strings.")
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise bad_argument("RequestBodyInvalid", "Values is not an array of arrays.")
    if len(set(columns)) < len(columns):
        raise bad_user_argument("InputMismatchError", "ColumnNames names a column twice.")
    for position, row in enumerate(values):
        if len(row) != len(columns):
            raise bad_user_argument(
                "InputParseError", f"Row {position} has {len(row)} values for {len(columns)} columns."
            )
    return Rows(columns, values)


def results(scored: Scored, *, as_objects: bool, detailed: bool) -> Any:
    """Return scored rows as one output on the wire; values are strings, as from the service (classic-protocol 2)."""
    values = [[_text(value) for value in row] for row in scored.rows]
    if as_objects:
        return [dict(zip(scored.columns, row, strict=True)) for row in values]
    table: dict[str, Any] = {"ColumnNames": list(scored.columns)}
    if detailed:
        table["ColumnTypes"] = list(scored.types)
    return {"type": "DataTable", "value": {**table, "Values": values}}


def _text(value: Scalar) -> str | None:
    if value is None:
        return None
    return repr(value) if isinstance(value, float) else str(value)
