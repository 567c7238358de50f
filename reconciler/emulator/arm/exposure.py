"""How a New web service that is provisioned comes to answer scoring calls and batch jobs."""

from __future__ import annotations

from datetime import timedelta

from reconciler.emulator.arm.model_source import blob_place
from reconciler.emulator.arm.web_services import CachedModel, WebService
from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import StudioFile
from reconciler.emulator.context import Context
from reconciler.emulator.execution.services import BoundModel, ExecutionService, execution_path
from reconciler.emulator.execution.wire_format import member


class NewExecution:
    """The New web services' entries in the register of execution services."""

    def __init__(self, context: Context) -> None:
        self._studio = context.studio
        self._execution = context.execution

    def expose(self, service: WebService) -> None:
        """Make the service answer as its live definition says: with its keys, its limit and its models.

        A service for which no experiment of the studio file can score is left out: its definition can be managed, and
        its execution service is not found.
        """
        experiment = experiment_of(self._studio, service)
        path = _path(service)
        if experiment is None or service.properties is None:
            self._execution.withdraw(path)
            return
        storage = service.properties["storageAccount"]["name"]
        accounts = [account.name for account in self._studio.storage_accounts]
        calls = member(service.properties, "realtimeConfiguration", "maxConcurrentCalls")
        self._execution.publish(
            ExecutionService(
                scope="subscriptions",
                scope_id=service.subscription.replace("-", ""),
                id=service.service,
                title=service.name,
                endpoint=None,
                experiment=experiment,
                primary_key=service.keys["primary"],
                secondary_key=service.keys["secondary"],
                max_concurrent_calls=calls if isinstance(calls, int) else 20,
                storage_account=storage if storage in accounts else accounts[0],
            )
        )
        for model in service.models.values():
            # The operation that ends with this has already taken the time that the service needs [I].
            self._execution.bind(path, self._resource(model), _bound(model), takes_effect_in=timedelta(0))

    def withdraw(self, service: WebService) -> None:
        """Stop the service from answering."""
        self._execution.withdraw(_path(service))

    def _resource(self, model: CachedModel) -> str:
        # Scoring asks for the trained model by the experiment's spelling; a definition may have another.
        experiments = (each for each in self._studio.experiments if isinstance(each, PredictiveExperiment))
        known = (name for experiment in experiments for name in experiment.resources)
        return next((name for name in known if name.lower() == model.name.lower()), model.name)


def experiment_of(studio: StudioFile, service: WebService) -> str | None:
    """Return the experiment of the studio file that stands behind a service; None if none does.

    That is a predictive experiment whose trained models the definition has, by name, and the one that the service was
    deployed from before others; or the training experiment that it was deployed from.
    """
    names = {model.name.lower() for model in service.models.values()}
    fitting = [
        experiment.name
        for experiment in studio.experiments
        if (
            {name.lower() for name in experiment.resources} <= names
            if isinstance(experiment, PredictiveExperiment)
            else experiment.name == service.experiment
        )
    ]
    return service.experiment if service.experiment in fitting else next(iter(fitting), None)


def _path(service: WebService) -> str:
    return execution_path("subscriptions", service.subscription.replace("-", ""), service.service)


def _bound(model: CachedModel) -> BoundModel:
    place = blob_place(model.uri)
    return BoundModel(model.digest) if place is None else BoundModel(model.digest, place.endpoint, place.relative)
