"""The web service that a model is trained by: an endpoint of a Classic one, or a New one.

Both run batch jobs by the same protocol (new-protocol 4); only where they are called, and with which key, is found in
different places. Each is asked once a pass, whatever number of models it trains.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from reconciler.azure.arm.definition import api_location
from reconciler.azure.errors import NotFound, ServiceError, SignInError, SwaggerError
from reconciler.azure.execution.batch import BatchExecution, BatchRequest, JobStatus
from reconciler.azure.execution.swagger import JobSignature, job_signature
from reconciler.plan.states import Problem
from reconciler.spec.documents import ClassicTraining, Model, NewTraining, Training
from reconciler.targets.clients import Clients
from reconciler.targets.workspaces import find_web_service, nearest

_T = TypeVar("_T")


class NoTrainingService(Exception):
    """There is nothing to train with. The message names what there is, and `problem` has it in parts."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.problem = Problem(code, message, remedy)


@dataclass(frozen=True, slots=True)
class TrainingService:
    """Where a training service is called, its key, and what its jobs take.

    Attributes:
        api_location: The base URL that the service gave.
        key: For jobs.
        signature: The names that a job may use; None if the service does not tell.
        unread: Why it does not, for people; the same whenever that is the reason.
    """

    api_location: str
    key: SecretStr
    signature: JobSignature | None
    unread: str = ""

    @property
    def jobs_url(self) -> str:
        """Where its jobs live."""
        return f"{self.api_location.rstrip('/')}/jobs"


def shown_service(training: Training) -> str:
    """Return the training service, for people. A pool is where its jobs run, and is no part of what they make."""
    match training.service:
        case ClassicTraining(web_service=name, endpoint=endpoint):
            text = f"{name}, endpoint {endpoint}"
        case NewTraining(resource_id=resource_id):
            text = f"New web service {resource_id.rstrip('/').rpartition('/')[2]}"
    return f"{text}, on pool {training.pool}" if training.pool is not None else text


def service_key(model: Model) -> tuple[str, ...]:
    """Return what is the same for all models that are trained by one endpoint or New service, as far as specs tell."""
    training = model.spec.training
    if training is None:
        return ()
    match training.service:
        case ClassicTraining(web_service=name, endpoint=endpoint):
            return (model.spec.workspace, name, endpoint)
        case NewTraining(resource_id=resource_id):
            return (resource_id.lower(),)


async def find_training_service(
    clients: Clients, model: Model, training: Training, *, refresh: bool = False
) -> TrainingService:
    """Return the training service of a model; asked once a pass, unless ``refresh``.

    Raises:
        NoTrainingService: there is no such service or endpoint, or more than one, or it does not say where it is.
        ServiceError: the service refuses, or cannot be reached.
        MissingSecret, CloudError: it cannot be asked.
    """
    match training.service:
        case ClassicTraining() as classic:
            find = partial(_find_classic, clients, model.spec.workspace, classic)
        case NewTraining() as new:
            find = partial(_find_new, clients, new)

    async def ask() -> TrainingService:
        location, key = await find()
        signature, unread = await _signature(clients, location, key)
        return TrainingService(location, key, signature, unread)

    return await clients.cached(("training service", *service_key(model)), ask, refresh=refresh, lasting=True)


async def _find_classic(clients: Clients, workspace: str, wanted: ClassicTraining) -> tuple[str, SecretStr]:
    name = wanted.web_service
    service = find_web_service(workspace, name, await clients.web_services(workspace))
    if isinstance(service, Problem):
        raise NoTrainingService(service.code, f"Training service not found: {service.message}", service.remedy)
    management = clients.management(workspace)
    endpoint = await management.get_endpoint(service.id, wanted.endpoint)
    if endpoint is None:
        known = nearest(wanted.endpoint, [each.name for each in await management.list_endpoints(service.id)])
        raise NoTrainingService(
            "training-endpoint-not-found", f"Training service {name} has no endpoint {wanted.endpoint}", known
        )
    if endpoint.api_location is None or endpoint.primary_key is None:
        raise NoTrainingService(
            "training-endpoint-unknown",
            f"The service does not report the URL of endpoint {wanted.endpoint} of training service {name}",
        )
    return endpoint.api_location, endpoint.primary_key


async def _find_new(clients: Clients, wanted: NewTraining) -> tuple[str, SecretStr]:
    resource_id = wanted.resource_id
    try:
        definition = await clients.definitions.get(resource_id)
    except NotFound:
        raise NoTrainingService(
            "service-not-found", f"Training service {resource_id} does not exist", "Correct training.new.resourceId"
        ) from None
    location = api_location(definition)
    if location is None:
        raise NoTrainingService(
            "training-service-unknown",
            f"The definition of training service {resource_id} has no URL to call (swaggerLocation)",
            "Wait until the service is provisioned, or deploy the service again",
        )
    return location, await clients.definitions.list_keys(resource_id)


async def _signature(clients: Clients, location: str, key: SecretStr) -> tuple[JobSignature | None, str]:
    """Return the names in the service's own document. Without it the service judges the job by itself."""
    try:
        return job_signature(await clients.scoring(location, key).swagger()), ""
    except ServiceError as error:
        status = f"status {error.status}" if error.status else "no answer"
        return None, f"names are not checked, because the API document of the service cannot be read: {status}"
    except SwaggerError as error:
        return None, f"names are not checked: {error}"


class TrainingJobs:
    """The jobs of one training service. Its key is looked up anew, once, when it is not accepted any more."""

    def __init__(self, clients: Clients, model: Model, training: Training, service: TrainingService) -> None:
        self._clients = clients
        self._model = model
        self._training = training
        self._batch = clients.batch(service.api_location, service.key)
        self._renewed = False
        self.url = service.jobs_url

    async def register(self, request: BatchRequest) -> str:
        """See `BatchExecution.register`."""
        return await self._call(lambda batch: batch.register(request))

    async def start(self, job_id: str) -> JobStatus:
        """See `BatchExecution.start`."""
        return await self._call(lambda batch: batch.start(job_id))

    async def status(self, job_id: str) -> JobStatus:
        """See `BatchExecution.status`."""
        return await self._call(lambda batch: batch.status(job_id))

    async def cancel(self, job_id: str) -> None:
        """See `BatchExecution.cancel`."""
        await self._call(lambda batch: batch.cancel(job_id))

    async def _call(self, call: Callable[[BatchExecution], Awaitable[_T]]) -> _T:
        try:
            return await call(self._batch)
        except SignInError:
            if self._renewed:
                raise
        self._renewed = True
        service = await find_training_service(self._clients, self._model, self._training, refresh=True)
        self._batch = self._clients.batch(service.api_location, service.key)
        return await call(self._batch)
