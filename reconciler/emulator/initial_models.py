"""The models that predictive experiments start with: really trained, once in the life of the state."""

import asyncio
from dataclasses import asdict

from reconciler.emulator import experiments
from reconciler.emulator.context import Context
from reconciler.emulator.execution_services import BoundModel
from reconciler.emulator.studio_file import PredictiveExperiment, StudioFileError, TrainingExperiment
from reconciler.emulator.training_data import TrainingData


async def make_initial_models(context: Context, data: TrainingData) -> dict[str, BoundModel]:
    """The initial model of each predictive experiment, by the experiment's name; missing ones are trained now.

    Raises:
        StudioFileError: the data do not fit the experiment that should train with them.
    """
    wanted = [each for each in context.studio.experiments if isinstance(each, PredictiveExperiment)]
    made = context.documents.collection("initial-models")
    missing = [experiment for experiment in wanted if experiment.name not in made]
    await asyncio.gather(*(_make(context, data, experiment) for experiment in missing))
    models = {experiment.name: BoundModel(**made[experiment.name]) for experiment in wanted}
    for experiment in wanted:
        await _write_to_real_account(context, experiment, models[experiment.name])
    return models


async def _write_to_real_account(context: Context, experiment: PredictiveExperiment, model: BoundModel) -> None:
    """Writes a model that was made before its storage account was a real one."""
    place, seeded = experiment.initial_model.blob, context.documents.collection("seeded")
    account = context.storage.seeding(place.account)
    key = f"model/{experiment.name}{account}"
    if account and key not in seeded:
        await context.storage.seed(place.account, place.container, place.blob, context.models.read(model.digest))
        seeded[key] = {}


def initial_model(context: Context, experiment: PredictiveExperiment) -> BoundModel:
    """The model that a predictive experiment was deployed with."""
    return BoundModel(**context.documents.collection("initial-models")[experiment.name])


async def _make(context: Context, data: TrainingData, experiment: PredictiveExperiment) -> None:
    initial = experiment.initial_model
    training = context.studio.experiment(initial.trained_by)
    assert isinstance(training, TrainingExperiment)  # noqa: S101 - the studio file has checked it
    try:
        trained = await context.workers.train(
            await data.csv(context.studio.dataset(initial.dataset)),
            experiments.TrainingExperiment(learner=training.learner, label=training.label),
        )
    except experiments.TrainingError as error:
        raise StudioFileError(f"initial model of experiment {experiment.name!r}: {error.message}") from error
    place = initial.blob
    await context.storage.seed(place.account, place.container, place.blob, trained.ilearner)
    model = BoundModel(await asyncio.to_thread(context.models.keep, trained.ilearner))
    context.documents.collection("initial-models")[experiment.name] = asdict(model)
