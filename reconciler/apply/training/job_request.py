"""Makes what a job is registered with, from the data as they are at that moment."""

from __future__ import annotations

from reconciler.apply.run import Run
from reconciler.apply.training.artifacts import evaluation_path
from reconciler.apply.training.errors import RecipeError, TrainingFailed
from reconciler.apply.training.inputs import (
    SIGNED_FOR,
    TrainingData,
    identify_again,
    identify_data,
    job_inputs,
    job_parameters,
    upload_files,
)
from reconciler.apply.training.recipes import recipe_fingerprint
from reconciler.azure.errors import ContentChanged
from reconciler.azure.execution.batch import BatchRequest
from reconciler.azure.storage.blobs import StoredBlob
from reconciler.plan.states import VersionKey
from reconciler.spec.documents import Model, Training


async def job_request(
    run: Run, key: VersionKey, model: Model, training: Training, *, fingerprint: str, artifact: str
) -> BatchRequest:
    """Return the request for a version, whose data are uploaded where they are files.

    Args:
        run: The run.
        key: The version.
        model: Its model.
        training: Its model's recipe.
        fingerprint: That of the recipe that the plan is about.
        artifact: Where the trained model goes, ``container/path``.

    Raises:
        TrainingFailed: the data are not those of the plan any more, or cannot be read.
        ServiceError, MissingSecret, OSError: storage refuses or cannot be reached, or a file cannot be read.
    """
    clients, workspace = run.clients, model.spec.workspace
    data = await _data_as_planned(run, key, model, training, fingerprint)
    signed = await job_parameters(data, clients, workspace, training.timeout + 2 * SIGNED_FOR)
    account = await clients.connection_string(workspace)
    outputs = {training.outputs.model: StoredBlob(account, artifact)}
    if training.outputs.evaluation is not None:
        outputs[training.outputs.evaluation] = StoredBlob(account, evaluation_path(artifact))
    return BatchRequest(
        inputs=job_inputs(data, clients, workspace, account),
        outputs=outputs,
        parameters={**training.resolve(key.label).parameters, **signed},
        pool=training.pool,
    )


async def _data_as_planned(
    run: Run, key: VersionKey, model: Model, training: Training, fingerprint: str
) -> TrainingData:
    def check(data: TrainingData) -> None:
        if recipe_fingerprint(key, model, training, run.clients, data) != fingerprint:
            raise _moved(key)

    try:
        data = await identify_data(key, model, run.clients)
        check(data)
        if await upload_files(data, run, key, model):
            # That took its time. What the service fetches itself is looked at as late as can be.
            data = await identify_again(data, key, model, run.clients)
            check(data)
    except ContentChanged as error:
        raise _moved(key) from error
    except RecipeError as error:
        raise TrainingFailed(f"{error}. {error.problem.remedy}", again=False) from error
    return data


def _moved(key: VersionKey) -> TrainingFailed:
    return TrainingFailed(f"the training data of {key} changed after the plan was made; plan again", again=True)
