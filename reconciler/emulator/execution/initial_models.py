"""The models that predictive experiments start with: really trained, once in the life of the state."""

import asyncio
from dataclasses import asdict

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment, ScoredModel
from reconciler.emulator.config.studio_file import StudioFileError, TrainingExperiment
from reconciler.emulator.context import Context
from reconciler.emulator.execution.services import BoundModel
from reconciler.emulator.execution.training_data import TrainingData
from reconciler.emulator.ml import types as ml_types


async def make_initial_models(context: Context, data: TrainingData) -> None:
    """Train the models that predictive experiments start with, where they are missing.

    Raises:
        StudioFileError: the data do not fit the experiment that should train with them.
    """
    experiments_that_score = [each for each in context.studio.experiments if isinstance(each, PredictiveExperiment)]
    wanted = {key: model for experiment in experiments_that_score for key, model in experiment.initial_keys()}
    made = context.documents.collection("initial-models")
    missing = [key for key in wanted if key not in made]
    await asyncio.gather(*(_make(context, data, key, wanted[key]) for key in missing))
    for key, model in wanted.items():
        await _write_to_real_account(context, key, model, BoundModel(**made[key]))


async def _write_to_real_account(context: Context, key: str, scored: ScoredModel, model: BoundModel) -> None:
    """Write a model that was made before its storage account was a real one."""
    place, seeded = scored.initial_model.blob, context.documents.collection("seeded")
    account = context.storage.seeding(place.account)
    mark = f"model/{key}{account}"
    if account and mark not in seeded:
        await context.storage.seed(place.account, place.container, place.blob, context.models.read(model.digest))
        seeded[mark] = {}


def initial_models(context: Context, experiment: PredictiveExperiment) -> dict[str, BoundModel]:
    """Return the models that a predictive experiment was deployed with, by the names of its trained models."""
    made = context.documents.collection("initial-models")
    return {model.trained_model: BoundModel(**made[key]) for key, model in experiment.initial_keys() if key in made}


async def _make(context: Context, data: TrainingData, key: str, scored: ScoredModel) -> None:
    initial = scored.initial_model
    training = context.studio.experiment(initial.trained_by)
    assert isinstance(training, TrainingExperiment)  # noqa: S101 - the studio file has checked it
    try:
        trained = await context.workers.train(
            await data.csv(context.studio.dataset(initial.dataset)),
            ml_types.TrainingExperiment(learner=training.learner, label=training.label),
        )
    except ml_types.TrainingError as error:
        raise StudioFileError(f"initial model of experiment {key!r}: {error.message}") from error
    place = initial.blob
    await context.storage.seed(place.account, place.container, place.blob, trained.ilearner)
    model = BoundModel(await asyncio.to_thread(context.models.keep, trained.ilearner))
    context.documents.collection("initial-models")[key] = asdict(model)
