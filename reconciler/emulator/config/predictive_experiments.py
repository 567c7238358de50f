"""Predictive experiments in the studio file: what scores, with which trained models, and where each begins."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from reconciler.emulator.config.types import AccountName, Section

Name = Annotated[str, StringConstraints(min_length=1, max_length=260)]
ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")]


class BlobAddress(Section):
    """Where a blob lies in one of the storage accounts."""

    account: AccountName
    container: ContainerName
    blob: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class InitialModel(Section):
    """How the model that a predictive experiment starts with is made, and the blob that it lies in."""

    trained_by: Name
    dataset: Name
    blob: BlobAddress


class ScoredModel(Section):
    """A trained model with its Score Model, and the web service output that its scores go to."""

    trained_model: Name
    initial_model: InitialModel
    output: Name = "output1"


class PredictiveExperiment(Section):
    """An experiment that scores rows with its trained model, or with each of several, side by side."""

    kind: Literal["predictive"]
    name: Name
    trained_model: Name | None = None
    initial_model: InitialModel | None = None
    input: Name = "input1"
    output: Name = "output1"
    models: Annotated[tuple[ScoredModel, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        alone = self.trained_model is not None and self.initial_model is not None
        if alone is bool(self.models) or (self.models and (self.trained_model or self.initial_model)):
            raise ValueError("give either trainedModel and initialModel, or models")
        for what in ("trained_model", "output"):
            names = [getattr(model, what) for model in self.models]
            if len(set(names)) < len(names):
                raise ValueError("each of the models needs a trainedModel and an output of its own")
        return self

    @property
    def scored(self) -> tuple[ScoredModel, ...]:
        """Its trained models, in whichever of the two forms they are written."""
        if self.trained_model is None or self.initial_model is None:
            return self.models
        return (ScoredModel(trained_model=self.trained_model, initial_model=self.initial_model, output=self.output),)

    @property
    def resources(self) -> tuple[str, ...]:
        """The names of its trained models, which are a service's updatable resources."""
        return tuple(model.trained_model for model in self.scored)

    def initial_keys(self) -> Iterator[tuple[str, ScoredModel]]:
        """Return each trained model with the key under which the state keeps its initial content."""
        for model in self.scored:
            yield (self.name if not self.models else f"{self.name}/{model.trained_model}"), model
