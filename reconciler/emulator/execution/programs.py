"""What an execution service runs: an experiment of the studio file, or code that was published."""

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import TrainingExperiment
from reconciler.emulator.context import Context
from reconciler.emulator.execution.code_bundle import BUNDLES, CodeBundle
from reconciler.emulator.execution.services import CODE, ExecutionService

Program = TrainingExperiment | PredictiveExperiment | CodeBundle


def program_of(context: Context, service: ExecutionService) -> Program:
    """Return what a service runs at this moment."""
    if service.experiment is not None:
        return context.studio.experiment(service.experiment)
    bound = context.execution.model(service.path, CODE)
    assert bound is not None  # noqa: S101 - an endpoint of a code service is made with its bundle
    return CodeBundle.from_document(context.documents.collection(BUNDLES)[bound.digest])
