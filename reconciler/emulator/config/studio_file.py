"""The studio file: what an emulator consists of, as YAML; ``default_studio.yaml`` documents every section."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from reconciler.emulator.config import vaults
from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.config.predictive_experiments import BlobAddress, ContainerName, Name, PredictiveExperiment
from reconciler.emulator.config.principals import Principal
from reconciler.emulator.config.profiles import DOCUMENTED, values_of
from reconciler.emulator.config.settings import CodeSettings, Limits, Timings
from reconciler.emulator.config.types import AccountName, EnvironmentName, Guid, Hex32, Section
from reconciler.emulator.config.yaml_text import read_yaml

_DEFAULT_FILE = "default_studio.yaml"


class StudioFileError(ValueError):
    """A studio file that cannot be used; the message lists everything that is wrong with it."""


EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]

Learner = Literal[
    "Two-Class Logistic Regression",
    "Two-Class Boosted Decision Tree",
    "Multiclass Logistic Regression",
    "Linear Regression",
    "Boosted Decision Tree Regression",
]


class FromEnvironment(Section):
    """A secret that the emulator is given in an environment variable."""

    env: EnvironmentName


class StorageAccount(Section):
    """An account of the Blob service: the emulator's own, or a real one whose connection string it is given."""

    name: AccountName
    connection_string: FromEnvironment | None = None
    containers: tuple[ContainerName, ...] = ()
    connection_string_env: EnvironmentName | None = None
    second_connection_string_env: EnvironmentName | None = None


class DatasetSource(Section):
    """The rows of a data set: one that scikit-learn ships, or a CSV file (relative to the studio file)."""

    sklearn: Literal["breast-cancer", "diabetes"] | None = None
    rows: Annotated[int, Field(ge=10)] | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.sklearn is None) == (self.file is None):
            raise ValueError("give either sklearn or file")
        if self.file is not None and self.rows is not None:
            raise ValueError("rows goes with sklearn; a file is taken whole")
        return self


class Dataset(Section):
    """A data set and the blob that holds it as CSV when the emulator first starts."""

    name: Name
    source: DatasetSource
    blob: BlobAddress


class WebServiceInput(Section):
    """The training data come in through a web service input (``Inputs`` of a batch job)."""

    web_service: Name


class ParameterInput(Section):
    """The training data are fetched from the URL in a web service parameter (``GlobalParameters``)."""

    parameter: Name


class TrainingOutputs(Section):
    """The names of a training service's outputs: Train Model's, and Evaluate Model's if it is connected."""

    model: Name = "output1"
    evaluation: Name | None = "output2"

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.model == self.evaluation:
            raise ValueError("the two outputs need different names")
        return self


class TrainingExperiment(Section):
    """An experiment that trains: data in, a trained model and its evaluation out."""

    kind: Literal["training"]
    name: Name
    learner: Learner
    label: Name
    input: WebServiceInput | ParameterInput
    outputs: TrainingOutputs = TrainingOutputs()
    example_data: Name | None = None


Experiment = Annotated[TrainingExperiment | PredictiveExperiment, Field(discriminator="kind")]


class EndpointSeed(Section):
    """An endpoint that a Classic web service has from the start, besides ``default``."""

    name: EndpointName
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    throttle_level: Literal["Low", "High"] = "Low"
    max_concurrent_calls: Annotated[int, Field(ge=1, le=200)] | None = None


class ClassicService(Section):
    """A Classic web service; its ``default`` endpoint need not be listed."""

    name: Name
    experiment: Name
    id: Hex32 | None = None
    description: str = ""
    endpoints: tuple[EndpointSeed, ...] = ()


class Workspace(Section):
    """A Studio workspace with its Classic web services."""

    id: Hex32
    name: Name
    region: Name = "South Central US"
    tier: Literal["standard", "free"] = "standard"
    storage_account: AccountName
    token_env: EnvironmentName | None = None
    services: tuple[ClassicService, ...] = ()

    def service_id(self, position: int) -> str:
        """Return the id of the service at that position: the file's, else one that is the same at every start."""
        service = self.services[position]
        return service.id or derived_id(self.id, str(position), service.name)


class NewService(Section):
    """A New (Azure Resource Manager) web service."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,259}$")]
    experiment: Name
    title: str | None = None
    description: str = ""
    commitment_plan: Name | None = None


class CommitmentPlan(Section):
    """A commitment plan; its location is that of its resource group.

    ``used`` is the share of its included quantities that is used up.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,259}$")]
    sku: Literal["S1", "S2", "S3", "DevTest"] = "S1"
    capacity: Annotated[int, Field(ge=1)] = 1
    used: Annotated[float, Field(ge=0, le=1)] = 0.0


class ResourceGroup(Section):
    """A resource group; its location is also that of its web services."""

    name: Annotated[str, StringConstraints(pattern=r"^[\w().-]{0,89}[\w()-]$")]
    location: Name = "South Central US"
    storage_account: AccountName | None = None
    workspace: Hex32 | None = None
    commitment_plans: tuple[CommitmentPlan, ...] = ()
    web_services: tuple[NewService, ...] = ()


class Subscription(Section):
    """An Azure subscription with its resource groups."""

    id: Guid
    resource_groups: tuple[ResourceGroup, ...] = ()


class StudioFile(Section):
    """A whole emulator."""

    storage_accounts: Annotated[tuple[StorageAccount, ...], Field(min_length=1)]
    datasets: tuple[Dataset, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    workspaces: tuple[Workspace, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    principal: Principal
    key_vaults: tuple[vaults.KeyVault, ...] = ()
    profile: str = DOCUMENTED
    principals: tuple[Principal, ...] = ()
    timings: Timings = Timings()
    limits: Limits = Limits()
    behaviour: Behaviour = Behaviour()
    code_services: CodeSettings = CodeSettings()

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, content: Any) -> Any:
        """Fill in the settings that the file leaves out with those of its profile."""
        if not isinstance(content, Mapping):
            return content
        filled = dict(content)
        for section, model in (("timings", Timings), ("behaviour", Behaviour)):
            given = content.get(section)
            if given is None or isinstance(given, Mapping):
                filled[section] = {**values_of(model, str(content.get("profile", DOCUMENTED))), **(given or {})}
        return filled

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        problems = [*self._duplicates(), *self._dangling()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def experiment(self, name: str) -> TrainingExperiment | PredictiveExperiment:
        """Return the experiment of that name; names that the file itself refers to exist."""
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        raise KeyError(name)

    def predictive_experiment(self, name: str) -> PredictiveExperiment:
        """Return the predictive experiment of that name; KeyError if it does not exist."""
        experiment = self.experiment(name)
        if not isinstance(experiment, PredictiveExperiment):
            raise KeyError(name)
        return experiment

    def dataset(self, name: str) -> Dataset:
        """Return the data set of that name; KeyError if it does not exist."""
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        raise KeyError(name)

    def workspace(self, workspace_id: str) -> Workspace | None:
        """Return the workspace with that id."""
        return next((workspace for workspace in self.workspaces if workspace.id == workspace_id), None)

    def _duplicates(self) -> Iterable[str]:
        groups = [s.resource_groups for s in self.subscriptions]
        names: list[tuple[str, Sequence[str]]] = [
            ("storage account", [a.name for a in self.storage_accounts]),
            ("data set", [d.name for d in self.datasets]),
            ("experiment", [e.name for e in self.experiments]),
            ("workspace", [w.id for w in self.workspaces]),
            ("service id", [w.service_id(i) for w in self.workspaces for i in range(len(w.services))]),
            ("subscription", [s.id for s in self.subscriptions]),
            ("Key Vault", [v.name for v in self.key_vaults]),
            *(("secret of a Key Vault", [s.name.lower() for s in vault.secrets]) for vault in self.key_vaults),
            ("principal", [p.client_id for p in (self.principal, *self.principals)]),
            ("variable of principals", [name for p in (self.principal, *self.principals) for name in p.variables]),
            *(("resource group", [g.name.lower() for g in group]) for group in groups),
            *(("New service", [s.name.lower() for s in g.web_services]) for group in groups for g in group),
            *(("commitment plan", [p.name.lower() for p in g.commitment_plans]) for group in groups for g in group),
            *(
                ("endpoint", ["default", *(e.name for e in service.endpoints)])
                for workspace in self.workspaces
                for service in workspace.services
            ),
        ]
        for sort, values in names:
            yield from (f"duplicate {sort} {value!r}" for value, times in Counter(values).items() if times > 1)

    def _dangling(self) -> Iterable[str]:
        accounts = {account.name for account in self.storage_accounts}
        datasets = {dataset.name for dataset in self.datasets}
        experiments = {experiment.name: experiment for experiment in self.experiments}
        places = [d.blob.account for d in self.datasets]
        places += [w.storage_account for w in self.workspaces]
        groups = [group for subscription in self.subscriptions for group in subscription.resource_groups]
        places += [group.storage_account for group in groups if group.storage_account]
        if self.key_vaults and "secrets" in accounts:
            yield "a storage account cannot be called 'secrets' beside Key Vaults, which answer at that path"
        held = vaults.held_secrets(self.key_vaults)
        places += [each.connection_string for each in held if each.connection_string]
        yield from vaults.dangling(
            self.key_vaults,
            workspaces={workspace.id for workspace in self.workspaces},
            clients={principal.client_id for principal in (self.principal, *self.principals)},
        )
        for group in groups:
            plans = {plan.name for plan in group.commitment_plans}
            wanted = {service.commitment_plan for service in group.web_services if service.commitment_plan}
            yield from (
                f"resource group {group.name!r}: unknown commitment plan {plan!r}" for plan in sorted(wanted - plans)
            )
        for experiment in self.experiments:
            if isinstance(experiment, PredictiveExperiment):
                for initial in (model.initial_model for model in experiment.scored):
                    places.append(initial.blob.account)
                    if not isinstance(experiments.get(initial.trained_by), TrainingExperiment):
                        yield f"experiment {experiment.name!r}: unknown training experiment {initial.trained_by!r}"
                    if initial.dataset not in datasets:
                        yield f"experiment {experiment.name!r}: unknown data set {initial.dataset!r}"
            elif experiment.example_data is not None and experiment.example_data not in datasets:
                yield f"experiment {experiment.name!r}: unknown data set {experiment.example_data!r}"
        yield from (f"unknown storage account {place!r}" for place in sorted(set(places) - accounts))
        used = {service.experiment for workspace in self.workspaces for service in workspace.services}
        used |= {service.experiment for group in groups for service in group.web_services}
        yield from (f"unknown experiment {name!r}" for name in sorted(used - experiments.keys()))


def load_studio(path: Path | None, profile: str | None = None) -> StudioFile:
    """Read a studio file, or the default one.

    Args:
        path: the file; None for the default one.
        profile: the profile to use instead of the file's; what the file's ``behaviour`` and ``timings`` say themselves
            is not changed by it.

    Raises:
        StudioFileError: with every error in the file.
    """
    if path is None:
        source, text = _DEFAULT_FILE, resources.files(__package__).joinpath(_DEFAULT_FILE).read_text("utf-8")
    else:
        try:
            source, text = str(path), path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudioFileError(f"{path}: cannot be read: {error}") from error
    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise StudioFileError(f"{source}: is not YAML: {reason}") from error
    if profile is not None and isinstance(content, dict):
        content["profile"] = profile
    try:
        studio = StudioFile.model_validate(content)
    except ValidationError as error:
        lines = [
            f"{source}: {_field(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        raise StudioFileError("\n".join(lines)) from error
    return studio if path is None else _with_files_from(studio, path.parent)


def derived_id(*parts: str) -> str:
    """Return 32 hex digits, the same at every start, for a thing that the studio file gives no id."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _with_files_from(studio: StudioFile, directory: Path) -> StudioFile:
    def resolved(dataset: Dataset) -> Dataset:
        if dataset.source.file is None:
            return dataset
        source = dataset.source.model_copy(update={"file": directory / dataset.source.file})
        return dataset.model_copy(update={"source": source})

    return studio.model_copy(update={"datasets": tuple(resolved(dataset) for dataset in studio.datasets)})


def _field(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"
