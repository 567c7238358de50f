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
    return {experiment.name: BoundModel(**made[experiment.name]) for experiment in wanted}


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
