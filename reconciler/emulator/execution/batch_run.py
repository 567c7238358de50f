"""What one batch job does: read its data, train or score in a worker, write its outputs."""

import asyncio

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import ParameterInput, TrainingExperiment
from reconciler.emulator.context import Context
from reconciler.emulator.execution.batch_request import JobRequest
from reconciler.emulator.execution.code_bundle import CodeBundle
from reconciler.emulator.execution.code_runs import CodeFailed
from reconciler.emulator.execution.columns import known_columns
from reconciler.emulator.execution.data_formats import from_csv, to_csv, write_csv
from reconciler.emulator.execution.model_loading import CannotLoad, load
from reconciler.emulator.execution.programs import Program
from reconciler.emulator.execution.services import ExecutionService
from reconciler.emulator.faults.job_faults import JobFate
from reconciler.emulator.ml import types as ml_types
from reconciler.emulator.ml.csv_table import read_table
from reconciler.emulator.ml.types import ExperimentError
from reconciler.emulator.ml.workers import WorkerDied
from reconciler.emulator.storage.client import BlobAccessError


class JobFailed(Exception):
    """A job that ends as Failed; the text becomes its Details."""


async def run_job(
    context: Context,
    service: ExecutionService,
    program: Program,
    request: JobRequest,
    fate: JobFate | None = None,
) -> None:
    """Run a job whose every output has a place.

    Args:
        context: the emulator's parts.
        service: whose job it is.
        program: what the service runs.
        request: the job.
        fate: what a fault rule has ordered for it.

    Raises:
        JobFailed: with a text without secrets.
    """
    if fate is not None:
        await fate.hang()
        if fate.failure is not None:
            raise JobFailed(fate.failure)
    dies = fate is not None and fate.worker_dies
    try:
        results = await _results(context, service, program, request, dies=dies)
        for name, data in results.items():
            if fate is None or not fate.omits(name):
                await context.blobs.write(request.outputs[name], data)
    except BlobAccessError as error:
        raise JobFailed(f"{error.code}: {error.message}") from error
    except CannotLoad as error:
        raise JobFailed(f"ResourceDownload: {error}") from error
    except CodeFailed as error:
        raise JobFailed(f"{error.code}: {error.message}") from error
    except TimeoutError as error:
        raise JobFailed("RequestTimeout: the code ran longer than timings.scoreTimeout") from error
    except ExperimentError as error:
        raise JobFailed(f"ModuleExecutionError: {error.message}") from error
    except WorkerDied as error:
        raise JobFailed(f"ContainerProcessTerminatedWithSystemError: {error}") from error


async def _results(
    context: Context, service: ExecutionService, program: Program, request: JobRequest, *, dies: bool
) -> dict[str, bytes]:
    """Return the contents of the outputs, by their names."""
    match program:
        case TrainingExperiment():
            return await _train(context, program, request, dies=dies)
        case CodeBundle():
            return await _run_code(context, program, request)
    return await _score(context, service, program, request, dies=dies)


async def _train(
    context: Context, experiment: TrainingExperiment, request: JobRequest, *, dies: bool
) -> dict[str, bytes]:
    if isinstance(experiment.input, ParameterInput):
        url = str(request.parameters[experiment.input.parameter])
        data = await context.blobs.fetch_url(url)
        name = url.partition("?")[0]
    else:
        reference = request.inputs[experiment.input.web_service]
        data, name = await context.blobs.read(reference), reference.relative_location
    rows = await asyncio.to_thread(to_csv, data, name)
    trained = await context.workers.train(
        rows, ml_types.TrainingExperiment(learner=experiment.learner, label=experiment.label), dies=dies
    )
    results = {experiment.outputs.model: trained.ilearner}
    evaluation = experiment.outputs.evaluation
    if evaluation is not None:
        results[evaluation] = from_csv(trained.evaluation_csv, request.outputs[evaluation].relative_location)
    return results


async def _score(
    context: Context, service: ExecutionService, experiment: PredictiveExperiment, request: JobRequest, *, dies: bool
) -> dict[str, bytes]:
    reference = request.inputs[experiment.input]
    data = await context.blobs.read(reference)
    columns, rows = await asyncio.to_thread(_table, data, reference.relative_location)
    results: dict[str, bytes] = {}
    for model in experiment.scored:
        bound = context.execution.model(service.path, model.trained_model)
        if bound is None:
            raise JobFailed(f"ModelPackageNotFound: the service has no {model.trained_model!r}")
        ilearner, digest = await load(context, bound)
        given = (columns, rows)
        if len(experiment.scored) > 1:
            given = known_columns(columns, rows, await context.workers.describe(ilearner, digest))
        scored = await context.workers.score(ilearner, digest, *given, dies=dies)
        target = request.outputs[model.output].relative_location
        results[model.output] = await asyncio.to_thread(_written, scored, target)
    return results


async def _run_code(context: Context, bundle: CodeBundle, request: JobRequest) -> dict[str, bytes]:
    reference = request.inputs[bundle.input]
    data = await context.blobs.read(reference)
    columns, rows = await asyncio.to_thread(_table, data, reference.relative_location)
    given = await context.code.run(bundle, columns, rows)
    target = request.outputs[bundle.output].relative_location
    return {bundle.output: await asyncio.to_thread(_written, given, target)}


def _table(data: bytes, name: str) -> tuple[list[str], list[list[ml_types.Scalar]]]:
    table = read_table(to_csv(data, name))
    return list(table.names), [list(row) for row in zip(*table.columns, strict=True)]


def _written(scored: ml_types.Scored, name: str) -> bytes:
    return from_csv(write_csv([scored.columns, *scored.rows]), name)
