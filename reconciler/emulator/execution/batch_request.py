"""The body of a batch job's registration, checked against what its service offers (classic-protocol 3, 4.1)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.storage.blob import BlobServiceClient

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import ParameterInput, TrainingExperiment
from reconciler.emulator.execution.errors import bad_argument, invalid_operation
from reconciler.emulator.execution.model_copies import MODEL_EXTENSION, sas_expired
from reconciler.emulator.execution.programs import Program
from reconciler.emulator.storage.client import BlobReference

DATA_EXTENSIONS = (".csv", ".tsv", ".arff")
_LONGEST_BLOB_NAME = 1024


@dataclass(frozen=True)
class Signature:
    """What a service takes and gives: names of inputs, of required parameters, and of outputs with extensions."""

    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class JobRequest:
    """A checked request; the references hold secrets and are kept out of every repr.

    ``pool`` is the id of the dedicated Azure Batch pool that the job is meant for. It is kept and changes nothing here.
    """

    inputs: Mapping[str, BlobReference]
    outputs: Mapping[str, BlobReference]
    parameters: Mapping[str, Any]
    pool: str | None = None

    def __repr__(self) -> str:
        return f"<JobRequest {sorted(self.inputs)} -> {sorted(self.outputs)}>"


def signature_of(program: Program) -> Signature:
    """Return the signature of the services that run an experiment or published code."""
    if isinstance(program, PredictiveExperiment):
        return Signature((program.input,), (), {model.output: DATA_EXTENSIONS for model in program.scored})
    if not isinstance(program, TrainingExperiment):
        return Signature((program.input,), (), {program.output: DATA_EXTENSIONS})
    experiment = program
    outputs: dict[str, tuple[str, ...]] = {experiment.outputs.model: (MODEL_EXTENSION,)}
    if experiment.outputs.evaluation is not None:
        outputs[experiment.outputs.evaluation] = DATA_EXTENSIONS
    if isinstance(experiment.input, ParameterInput):
        return Signature((), (experiment.input.parameter,), outputs)
    return Signature((experiment.input.web_service,), (), outputs)


def read_job_request(body: Mapping[str, Any], signature: Signature, now: datetime) -> JobRequest:
    """Check a registration.

    Args:
        body: the JSON object; members that are not known are ignored, members that are null count as left out.
        signature: what the service offers.
        now: an input or output whose SAS has expired by then is refused.

    Raises:
        ServiceError: 400 with the documented code.
    """
    return JobRequest(
        inputs=_inputs(body, signature, now),
        outputs=_outputs(body, signature, now),
        parameters=read_parameters(body, signature.parameters),
        pool=_pool(body),
    )


def read_parameters(body: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    """Read GlobalParameters: names are case-sensitive, and one without a default is mandatory (classic-protocol 2)."""
    given = _object(body, "GlobalParameters")
    if unexpected := [name for name in given if name not in required]:
        raise bad_argument("UnexpectedParameter", f"The service has no parameter {', '.join(map(repr, unexpected))}.")
    if missing := [name for name in required if given.get(name) is None]:
        raise bad_argument("MissingRequiredGlobalParameters", f"No value is given for {', '.join(missing)}.")
    for name, value in given.items():
        if not isinstance(value, str | int | float | bool):
            raise bad_argument("BadParameterValue", f"The value of {name!r} is not a string, number or boolean.")
    return given


def _pool(body: Mapping[str, Any]) -> str | None:
    pool = body.get("AzureBatchPoolId")
    if pool is not None and not isinstance(pool, str):
        raise bad_argument("RequestBodyInvalid", "AzureBatchPoolId is not a string.")
    return pool or None


def _inputs(body: Mapping[str, Any], signature: Signature, now: datetime) -> dict[str, BlobReference]:
    single = body.get("Input")
    if single is not None and body.get("Inputs") is not None:
        raise bad_argument("DuplicateInputInBatchCall", "The request has both Input and Inputs; give one of them.")
    if single is not None:
        if len(signature.inputs) > 1:
            raise invalid_operation("MultipleInputsNotAllowed", "The service has several inputs; name them in Inputs.")
        if not signature.inputs:
            raise bad_argument("BatchJobInputsTooManySpecified", "The service has no web service input.")
        given = {signature.inputs[0]: single}
    else:
        given = _object(body, "Inputs")
    if not signature.inputs and given:
        raise bad_argument("BatchJobInputsTooManySpecified", "The service has no web service input.")
    if unknown := [name for name in given if name not in signature.inputs]:
        raise bad_argument(
            "InvalidInputNames",
            f"The service has no input {', '.join(map(repr, unknown))}; it has {', '.join(signature.inputs)}.",
        )
    if missing := [name for name in signature.inputs if given.get(name) is None]:
        raise bad_argument("BatchJobInputsNotSpecified", f"No data are given for input {', '.join(missing)}.")
    return {name: _input(name, content, now) for name, content in given.items()}


def _input(name: str, content: Any, now: datetime) -> BlobReference:
    reference = _reference(f"input {name!r}", content, "MissingInputBlobInformation", now)
    _check_extension(f"input {name!r}", reference, DATA_EXTENSIONS)
    return reference


def _outputs(body: Mapping[str, Any], signature: Signature, now: datetime) -> dict[str, BlobReference]:
    given = _object(body, "Outputs")
    if unknown := [name for name in given if name not in signature.outputs]:
        raise bad_argument(
            "InvalidOutputOverrideName",
            f"The service has no output {', '.join(map(repr, unknown))}; it has {', '.join(signature.outputs)}.",
        )
    outputs: dict[str, BlobReference] = {}
    for name, content in given.items():
        if content is None:
            continue
        where = f"output {name!r}"
        outputs[name] = _reference(where, content, "MissingOutputOverrideSpecification", now)
        _check_extension(where, outputs[name], signature.outputs[name])
    places = {(o.connection_string, o.base_location, o.relative_location.lstrip("/")) for o in outputs.values()}
    if len(places) < len(outputs):
        raise bad_argument("InvalidBlob", "Two outputs have the same location.")
    return outputs


def _reference(where: str, content: Any, missing: str, now: datetime) -> BlobReference:
    if not isinstance(content, dict):
        raise bad_argument(missing, f"The {where} is not an object with the location of a blob.")
    connection_string = _text(where, content, "ConnectionString")
    base_location = _text(where, content, "BaseLocation")
    relative_location = _text(where, content, "RelativeLocation")
    token = _text(where, content, "SasBlobToken")
    if relative_location is None or (connection_string is None and (base_location is None or token is None)):
        raise bad_argument(
            missing,
            f"The {where} needs ConnectionString and RelativeLocation, or BaseLocation, RelativeLocation and "
            "SasBlobToken.",
        )
    container, _, blob = relative_location.strip().lstrip("/").partition("/")
    if not container or not blob:
        raise bad_argument(
            "InputBlobRelativeLocationInvalid", f"The RelativeLocation of the {where} is not container/blob."
        )
    if len(blob) > _LONGEST_BLOB_NAME:
        raise bad_argument("BlobNameTooLong", f"The blob's name of the {where} is longer than {_LONGEST_BLOB_NAME}.")
    if connection_string is not None:
        _check_connection_string(where, connection_string)
    elif sas_expired(token, now):
        raise bad_argument("ExpiryTimeInThePast", f"The SAS of the {where} has expired.")
    return BlobReference(relative_location, connection_string, base_location, token)


def _check_connection_string(where: str, connection_string: str) -> None:
    try:
        # Only parsed: nothing is sent, and the client that is made holds no connection.
        with BlobServiceClient.from_connection_string(connection_string) as client:
            base64.b64decode(getattr(client.credential, "account_key", None) or "", validate=True)
    except ValueError:
        # The library's sentence is left out: it may repeat a part of the connection string.
        raise bad_argument(
            "InvalidBlobConnectionString", f"The ConnectionString of the {where} is not one of a storage account."
        ) from None


def _check_extension(where: str, reference: BlobReference, allowed: tuple[str, ...]) -> None:
    if not reference.relative_location.lower().endswith(allowed):
        raise bad_argument("InvalidBlobExtension", f"The blob of the {where} must end in {' or '.join(allowed)}.")


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    content = body.get(name)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise bad_argument("RequestBodyInvalid", f"{name} is not an object.")
    return content


def _text(where: str, content: Mapping[str, Any], name: str) -> str | None:
    value = content.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise bad_argument("RequestBodyInvalid", f"{name} of the {where} is not a string.")
    return value
