"""The data of a recipe: what identifies each, and how each gets to the job.

What is identified is what is trained on. A file's content is uploaded under its own hash, and only as that content; a
blob and a URL are where the service fetches them itself, so they are looked at again right before the job is
registered, and after it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from reconciler.apply.progress import Amount, ProgressState
from reconciler.apply.run import Run
from reconciler.apply.training.errors import RecipeError
from reconciler.apply.training.local_files import LocalData, read_local_data
from reconciler.azure.errors import ContentChanged, ServiceError, Unpinnable
from reconciler.azure.storage.blobs import BlobReference, StoredBlob
from reconciler.azure.url_versions import url_pin
from reconciler.plan.states import VersionKey
from reconciler.spec.documents import BlobInput, DataSource, FileInput, Model, UrlInput
from reconciler.targets.clients import Clients

SIGNED_FOR = timedelta(days=1)
"""How long a registered job with signed parameters may wait for its start.

Its signatures last that much longer than its time, and as long again for the service's queue.
"""


@dataclass(frozen=True, slots=True)
class Identified:
    """Data and what identifies their content: for the fingerprint, and in words for people."""

    source: DataSource
    identity: str
    text: str
    local: LocalData | None = None
    """What a file holds; None for what the service fetches itself."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All data of one recipe, by the names of the web service inputs and of the parameters that hold a URL."""

    inputs: Mapping[str, Identified] = field(default_factory=dict)
    parameters: Mapping[str, Identified] = field(default_factory=dict)

    def texts(self) -> dict[str, str]:
        """Return what each is, for people; kept with the version."""
        named = {f"{name} (parameter)": found for name, found in self.parameters.items()}
        return {name: found.text for name, found in {**self.inputs, **named}.items()}

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of the inputs that are local files, as far as they can be told."""
        return {
            name: found.local.columns
            for name, found in self.inputs.items()
            if found.local is not None and found.local.columns is not None
        }


async def identify_data(key: VersionKey, model: Model, clients: Clients) -> TrainingData:
    """Read and check what a version is trained on.

    Raises:
        RecipeError: something is missing or cannot be read.
    """
    if model.spec.training is None:
        return TrainingData()
    resolved = model.spec.training.resolve(key.label)
    return TrainingData(
        {name: await _identify(source, key, model, clients) for name, source in resolved.inputs.items()},
        {name: await _identify(source, key, model, clients) for name, source in resolved.parameter_data.items()},
    )


async def identify_again(data: TrainingData, key: VersionKey, model: Model, clients: Clients) -> TrainingData:
    """Return the same data with what the service fetches itself as it is now; a file's content is kept by its hash.

    Raises:
        RecipeError: something is missing or cannot be read.
    """

    async def again(found: Identified) -> Identified:
        return found if found.local is not None else await _identify(found.source, key, model, clients)

    return TrainingData(
        {name: await again(found) for name, found in data.inputs.items()},
        {name: await again(found) for name, found in data.parameters.items()},
    )


async def remote_texts(key: VersionKey, model: Model, clients: Clients) -> dict[str, str]:
    """Return what the data that the service fetches itself are now, as `TrainingData.texts` has it.

    Raises:
        RecipeError: something is missing or cannot be read.
    """
    if model.spec.training is None:
        return {}
    resolved = model.spec.training.resolve(key.label)
    named = {f"{name} (parameter)": source for name, source in resolved.parameter_data.items()}
    return {
        name: (await _identify(source, key, model, clients)).text
        for name, source in {**resolved.inputs, **named}.items()
        if not isinstance(source, FileInput)
    }


async def _identify(source: DataSource, key: VersionKey, model: Model, clients: Clients) -> Identified:
    match source:
        case FileInput():
            base = clients.fleet.base_dir_of("Model", key.model)
            local = await asyncio.to_thread(read_local_data, base, source.file)
            several = f"{len(local.files)} files, " if len(local.files) > 1 else ""
            text = f"file {source.file} ({several}{local.size:,} bytes, sha256 {local.sha256[:12]})"
            return Identified(source, f"sha256:{local.sha256}", text, local)
        case BlobInput():
            return await _identify_blob(source, model, clients)
        case UrlInput():
            return await _identify_url(source, clients)


async def _identify_blob(given: BlobInput, model: Model, clients: Clients) -> Identified:
    container, _, name = given.blob.lstrip("/").partition("/")
    blobs = await clients.blobs(model.spec.workspace)
    properties = await blobs.properties(container, name)
    if properties is None:
        raise RecipeError(
            "input-missing",
            f"Training input blob {given.blob} does not exist",
            "Upload the blob, or correct the path",
        )
    if properties.length == 0:
        raise RecipeError("input-empty", f"Training input blob {given.blob} is empty", "Upload its content")
    # The content's hash where the account keeps one: an ETag changes when the same content is uploaded again.
    content = f"md5:{properties.md5.hex()}" if properties.md5 else f"etag:{properties.etag}"
    text = f"blob {given.blob} ({properties.length:,} bytes, {content})"
    return Identified(given, f"blob:{given.blob}:{content}", text)


async def _identify_url(given: UrlInput, clients: Clients) -> Identified:
    shown = given.url.partition("?")[0]
    try:
        content = await url_pin(clients.http, given.url)
    except Unpinnable as error:
        raise RecipeError(
            "input-unpinned",
            f"Training input {shown}: its present content cannot be pinned: {error}",
            "Copy the data into the workspace's storage and name them as {blob: container/path}, or serve them with an "
            "ETag",
        ) from error
    except ServiceError as error:
        answer = f"the server returned {error.status}" if error.status else "no server answers at this URL"
        raise RecipeError(
            "input-unreachable", f"Training input {shown}: {answer}", "Correct the URL, or put the data there"
        ) from error
    return Identified(given, f"url:{given.url}:{content}", f"url {shown} ({content})")


# -- to the job


async def upload_files(data: TrainingData, run: Run, key: VersionKey, model: Model) -> bool:
    """Upload the local files whose content is not there yet; gives whether there were any.

    Raises:
        ContentChanged: a file is not any more what was identified.
        ServiceError, OSError: storage refuses or cannot be reached, or a file cannot be read.
    """
    workspace, uploaded = model.spec.workspace, False
    for found in (*data.inputs.values(), *data.parameters.values()):
        if found.local is not None:
            # Models that train on the same file at the same time send it once.
            blob = _stored(found.local, run.clients, workspace)
            uploaded |= await run.clients.cached(
                ("upload", workspace, blob),
                partial(_upload, found.local, blob, run, key, workspace),
            )
    return uploaded


async def _upload(local: LocalData, blob: str, run: Run, key: VersionKey, workspace: str) -> bool:
    container, _, name = blob.partition("/")
    text = f"uploading {local.given} ({local.size:,} bytes)"

    def progress(sent: int, total: int) -> None:
        if sent < total:
            run.report(str(key), ProgressState.WAITING, text, Amount(sent, total))

    async with run.uploading:
        try:
            blobs = await run.clients.blobs(workspace)
            done = await blobs.upload_once(container, name, local.content(), progress)
        except RecipeError as error:
            # What cannot be joined any more could be when it was identified.
            raise ContentChanged(str(error)) from error
    if done:
        run.report(str(key), ProgressState.WAITING, f"uploaded {local.given}")
    return done


def job_inputs(
    data: TrainingData, clients: Clients, workspace: str, account: SecretStr
) -> dict[str, StoredBlob | BlobReference]:
    """Return the inputs of a job, whose files are uploaded; ``account`` is the connection string of the storage."""
    inputs: dict[str, StoredBlob | BlobReference] = {}
    for name, found in data.inputs.items():
        blob = _blob_of(found, clients, workspace)
        if blob is not None:
            inputs[name] = StoredBlob(account, blob)
        elif isinstance(found.source, UrlInput):
            inputs[name] = _reference(found.source.url)
    return inputs


async def job_parameters(
    data: TrainingData, clients: Clients, workspace: str, valid_for: timedelta
) -> dict[str, str | SecretStr]:
    """Return the parameters that hold the URL of data (context 4.5), signed if it lies in the workspace's storage.

    Raises:
        MissingSecret: the account's connection string cannot be resolved.
    """
    parameters: dict[str, str | SecretStr] = {}
    blobs = await clients.blobs(workspace) if data.parameters else None
    for name, found in data.parameters.items():
        blob = _blob_of(found, clients, workspace)
        if blob is not None and blobs is not None:
            container, _, path = blob.partition("/")
            signature = (await blobs.sign(container, path, valid_for)).get_secret_value()
            parameters[name] = SecretStr(f"{blobs.base}{quote(blob)}{signature}")
        elif isinstance(found.source, UrlInput):
            parameters[name] = found.source.url
    return parameters


def _blob_of(found: Identified, clients: Clients, workspace: str) -> str | None:
    """``container/path`` of data in the workspace's storage; None for those that are elsewhere."""
    if found.local is not None:
        return _stored(found.local, clients, workspace)
    return found.source.blob.lstrip("/") if isinstance(found.source, BlobInput) else None


def _stored(local: LocalData, clients: Clients, workspace: str) -> str:
    # The service tells formats by extension (classic-protocol 3).
    container = clients.fleet.workspaces[workspace].spec.storage.container
    return f"{container}/inputs/{local.sha256}{local.suffix}"


def _reference(url: str) -> BlobReference:
    parts = urlsplit(url)
    signature = SecretStr(f"?{parts.query}" if parts.query else "")
    return BlobReference(f"{parts.scheme}://{parts.netloc}/", parts.path.lstrip("/"), signature)
