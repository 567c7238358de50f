"""The emulator as one server on loopback, made of the folders of this package."""

import asyncio
import json
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from aiohttp import web

from reconciler.emulator import client_files
from reconciler.emulator.arm.errors import arm_error_reply, provider_gone
from reconciler.emulator.arm.routes import ResourceManager
from reconciler.emulator.classic.refresh import ApiDocuments
from reconciler.emulator.classic.routes import Management
from reconciler.emulator.classic.services import ClassicServices, seed_classic_services
from reconciler.emulator.config.studio_file import StudioFile, StudioFileError, load_studio
from reconciler.emulator.context import CONTROL_PREFIX, Context, Secrets
from reconciler.emulator.control.access import guard
from reconciler.emulator.control.fault_routes import FaultControl
from reconciler.emulator.control.journal import Journal
from reconciler.emulator.control.page import PAGE_PATH, page_routes
from reconciler.emulator.control.page_state import PageState
from reconciler.emulator.control.request_log import RequestLog, answer_errors
from reconciler.emulator.control.rotation import Rotation
from reconciler.emulator.control.routes import control_routes
from reconciler.emulator.documents import Documents, StateInUse, StateUnreadable
from reconciler.emulator.execution.batch_jobs import OUTPUT_CONTAINER, BatchJobs
from reconciler.emulator.execution.batch_routes import BatchExecution
from reconciler.emulator.execution.code_runs import CodeRuns
from reconciler.emulator.execution.error_format import ErrorWording
from reconciler.emulator.execution.errors import studio_error_reply
from reconciler.emulator.execution.initial_models import make_initial_models
from reconciler.emulator.execution.model_copies import TrainedModels
from reconciler.emulator.execution.scoring import Scoring
from reconciler.emulator.execution.services import ExecutionServices
from reconciler.emulator.execution.training_data import TrainingData
from reconciler.emulator.faults import Faults, FaultsFileError, load_rules
from reconciler.emulator.faults.middleware import ErrorReplies, FaultMiddleware
from reconciler.emulator.identity import certificates
from reconciler.emulator.identity.credential_files import IdentityFiles
from reconciler.emulator.identity.errors import sign_in_error_reply
from reconciler.emulator.identity.routes import sign_in_routes
from reconciler.emulator.key_vault.routes import VaultRequests, vault_error_reply
from reconciler.emulator.key_vault.secrets import VaultSecrets
from reconciler.emulator.listening import Listening, PortTaken, SkewedClock, listen
from reconciler.emulator.ml.workers import Workers
from reconciler.emulator.storage.accounts import StorageAccounts, real_accounts
from reconciler.emulator.storage.client import BlobAccessError, BlobClient
from reconciler.emulator.storage.routes import BlobService
from reconciler.emulator.storage.xml import storage_error_reply

HOST = "127.0.0.1"
# Put Blob in one piece; larger blobs come in blocks (storage's own limit is checked there).
_LARGEST_BODY = 300 << 20
_SECONDS_TO_FINISH = 2.0
_ERROR_REPLIES = ErrorReplies(
    by_area={
        "arm": arm_error_reply,
        "keyVault": vault_error_reply,
        "signIn": sign_in_error_reply,
        "storage": storage_error_reply,
    },
    other=studio_error_reply,
    provider_gone=provider_gone,
)


class Studio:
    """An emulator that answers on loopback while the context is open.

    Example::

        async with Studio() as studio:
            print(studio.url)

    Args:
        studio_file: what it consists of; the default Studio if left out.
        state: a directory that keeps everything through a restart; without one, nothing is kept.
        port: 0 takes the port of the last time if the state knows one and it is free, else any free one.
        tls_port: likewise for the port that speaks TLS.
        cloud_file: where to write the cloud file; ``cloud.json`` in the state, or in a fresh directory.
        env_file: where to write the secrets; ``emulator.env`` beside it.
        workers: processes that train and score, to share them; the emulator's own if left out.
        clock: the time now, with a time zone.

    Attributes:
        faults: rules that make it fail; see `reconciler.emulator.faults`.
        journal: what was asked of it; see `reconciler.emulator.control.journal`.
    """

    def __init__(
        self,
        studio_file: StudioFile | None = None,
        *,
        state: Path | None = None,
        port: int = 0,
        tls_port: int = 0,
        cloud_file: Path | None = None,
        env_file: Path | None = None,
        workers: Workers | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._studio_file = studio_file or load_studio(None)
        self._state = state
        self._port = port
        self._tls_port = tls_port
        self._cloud_file = cloud_file
        self._env_file = env_file
        self._workers = workers
        self._clock = SkewedClock(clock)
        self.faults = Faults(clock)
        self.journal = Journal()
        self._open = AsyncExitStack()
        self._context: Context | None = None
        self._rotation: Rotation | None = None

    @property
    def context(self) -> Context:
        """The parts of the running Studio."""
        if self._context is None:
            raise RuntimeError("the emulator is not running")
        return self._context

    @property
    def rotation(self) -> Rotation:
        """The exchange of secrets while the emulator runs."""
        if self._rotation is None:
            raise RuntimeError("the emulator is not running")
        return self._rotation

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self.context.server_url

    @property
    def cloud_file(self) -> Path:
        """The path of the cloud file; known once the emulator runs."""
        if self._cloud_file is None:
            raise RuntimeError("the emulator is not running")
        return self._cloud_file

    @property
    def env_file(self) -> Path:
        """The path of the env file; known once the emulator runs."""
        if self._env_file is None:
            raise RuntimeError("the emulator is not running")
        return self._env_file

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _start(self) -> None:
        documents = Documents.open(self._state)
        self._open.callback(documents.close)
        directory = self._state or Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="studio-")))
        listener = listen(HOST, self._port or _last_port(documents, "port"), must=self._port != 0)
        self._open.callback(listener.close)
        secure = listen(HOST, self._tls_port or _last_port(documents, "tls-port"), must=self._tls_port != 0)
        self._open.callback(secure.close)
        context = self._context = await self._make_context(documents, directory, listener, secure)
        tls = certificates.ServerTls(context.secrets.pem("certificate-authority", certificates.new_authority))
        log = RequestLog(self.journal, ids_on_errors=context.studio.behaviour.error_request_id == "shown")
        jobs, data, vaults = BatchJobs(context), TrainingData(context), VaultSecrets(context)
        vaults.seed()
        self._rotation = Rotation(context, vaults, self._write_env_file)
        classic = ClassicServices(context)
        faults = FaultMiddleware(
            self.faults,
            self._clock,
            [account.name for account in self._studio_file.storage_accounts if account.connection_string is None],
            _ERROR_REPLIES,
        )
        wording, scoring = ErrorWording(context.studio.behaviour, self._clock), Scoring(context, data)
        resource_manager = ResourceManager(context)
        app = web.Application(
            middlewares=[
                faults.outer,
                log.middleware,
                faults.inner,
                answer_errors,
                wording.middleware,
                guard(CONTROL_PREFIX, PAGE_PATH),
            ],
            client_max_size=_LARGEST_BODY,
        )
        app.add_routes(
            [
                *control_routes(jobs, log),
                *self._rotation.routes(),
                *page_routes(PageState(context, classic, jobs, self.journal)),
                *FaultControl(self.faults, self.journal).routes(),
                *Management(context, classic).routes(),
                *BatchExecution(context, jobs).routes(),
                *scoring.routes(),
                *ApiDocuments(context, classic, scoring).routes(),
                *resource_manager.routes(),
                *sign_in_routes(context),
                *VaultRequests(context, vaults).routes(),
                *context.storage.routes(),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SECONDS_TO_FINISH)
        await runner.setup()
        self._open.push_async_callback(_end, runner)
        assert runner.server is not None  # noqa: S101 - it was set up above
        listening = Listening(runner.server)
        self._open.callback(listening.close)
        # After the jobs, which a rule that ends lets go on; before the wait for requests, which a rule may delay.
        self._open.push_async_callback(self.faults.close)
        self._open.push_async_callback(jobs.close)
        self._open.push_async_callback(resource_manager.close)
        await data.write_blobs()
        await make_initial_models(context, data)
        seed_classic_services(context, classic)
        # From here on it answers; what the rooms still have to do, they do by calls to it.
        await listening.add(listener)
        await listening.add(secure, tls.context)
        await resource_manager.seed()
        jobs.resume()
        self.faults.begin(listening, context.storage, self._write_client_files(directory, tls.authority))

    async def _make_context(
        self, documents: Documents, directory: Path, listener: socket.socket, secure: socket.socket
    ) -> Context:
        secrets = Secrets(documents)
        accounts = self._studio_file.storage_accounts
        real = real_accounts(accounts)
        names = [each.name for each in accounts if each.connection_string is None]
        own_keys = {name: secrets.storage_key(name) for name in names}
        second_keys = {name: secrets.storage_key(name, second=True) for name in names}
        own = BlobService(documents, directory / "blobs", own_keys, second_keys=second_keys, clock=self._clock)
        blobs = await self._open.enter_async_context(BlobClient())
        storage = StorageAccounts(own, real, blobs, clock=self._clock)
        seeded = documents.collection("seeded")
        for account in accounts:
            for container in {*account.containers, OUTPUT_CONTAINER}:
                # A container that a user deleted does not come back at the next start.
                key = f"container/{account.name}/{container}{storage.seeding(account.name)}"
                if key not in seeded:
                    await storage.create_container(account.name, container)
                    seeded[key] = {}
        workers = self._workers
        if workers is None:
            workers = await self._open.enter_async_context(Workers())
        port, tls_port = (each.getsockname()[1] for each in (listener, secure))
        documents.collection("server").update({"port": {"value": port}, "tls-port": {"value": tls_port}})
        return Context(
            documents=documents,
            studio=self._studio_file,
            secrets=secrets,
            workers=workers,
            code=CodeRuns(self._studio_file.code_services, self._studio_file.timings.score_timeout.total_seconds()),
            blobs=blobs,
            storage=storage,
            execution=ExecutionServices(documents, self._clock),
            models=TrainedModels(directory / "models", self._clock),
            clock=self._clock,
            new_id=lambda: uuid4().hex,
            server_url=f"http://{HOST}:{port}",
            job_faults=self.faults.jobs,
            secure_url=f"https://{HOST}:{tls_port}",
        )

    def _write_client_files(self, directory: Path, authority: str) -> client_files.CloudFile:
        self._cloud_file = self._cloud_file or directory / "cloud.json"
        self._env_file = self._env_file or directory / "emulator.env"
        identities = self._identities = IdentityFiles(self.context, self._env_file)
        rotating = asyncio.create_task(identities.rotate(), name="rotate federated tokens")
        self._open.callback(rotating.cancel)
        self._write_env_file()
        client_files.write_file(authority, client_files.ca_file_beside(self._cloud_file))
        return client_files.CloudFile(self.context, self._cloud_file, self._env_file).write()

    def _write_env_file(self) -> None:
        variables = client_files.environment(self.context) | self._identities.write()
        client_files.write_env_file(self.env_file, variables)


def run(
    studio: Path | None,
    state: Path | None,
    port: int,
    cloud_file: Path | None,
    env_file: Path | None,
    *,
    faults: Path | None = None,
    profile: str | None = None,
) -> int:
    """Serve an emulator until SIGINT or SIGTERM.

    When it answers, one line of JSON on standard output says where: ``url``, ``cloudFile``, ``envFile``. The log goes
    to standard error, one line a request.

    Args:
        studio: a studio file; the default Studio if None.
        state: a directory that keeps everything through a restart; nothing is kept if None.
        port: 0 for any free one.
        cloud_file: where to write the cloud file; in the state, or in a fresh directory, if None.
        env_file: where to write the secrets; likewise.
        faults: a file of fault rules, in force from the moment in which it answers.
        profile: what it does where no source is sure; that of the studio file if None.

    Returns:
        The exit code: 0 when it was asked to end, 1 if it could not start.
    """
    log_to_standard_error()
    try:
        studio_file = load_studio(studio, profile)
        return asyncio.run(_serve(studio_file, state, port, cloud_file, env_file, faults=faults))
    except (BlobAccessError, FaultsFileError, StudioFileError, StateInUse, StateUnreadable, PortTaken) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def log_to_standard_error() -> None:
    """Write the log of this process to standard error: a line for each request that it answers."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
    # These two write a line for each request that the emulator itself sends.
    for chatty in ("azure", "aiohttp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def _serve(
    studio_file: StudioFile,
    state: Path | None,
    port: int,
    cloud_file: Path | None,
    env_file: Path | None,
    *,
    faults: Path | None,
) -> int:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    starting = asyncio.create_task(_start(studio_file, state, port, cloud_file, env_file, faults=faults))
    ending = asyncio.create_task(told_to_end.wait())
    await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # Told to end while the first models are trained.
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 0
    ending.cancel()
    running = starting.result()
    try:
        files = {"cloudFile": running.cloud_file, "envFile": running.env_file}
        where = {"url": running.url, **{name: str(path.resolve()) for name, path in files.items()}}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        await told_to_end.wait()
    finally:
        await running.__aexit__(None, None, None)
    return 0


async def _start(
    studio_file: StudioFile,
    state: Path | None,
    port: int,
    cloud_file: Path | None,
    env_file: Path | None,
    *,
    faults: Path | None,
) -> Studio:
    rules = None if faults is None else load_rules(faults)
    made = Studio(studio_file, state=state, port=port, cloud_file=cloud_file, env_file=env_file)
    if rules is not None:
        made.faults.add(*rules.rules, seed=rules.seed)
    return await made.__aenter__()


async def _end(runner: web.AppRunner) -> None:
    """Stop serving; nothing is left on the loop."""
    connections = [] if runner.server is None else [each.transport for each in runner.server.connections]
    await runner.cleanup()
    for transport in connections:
        # One with TLS is closed only once its client has said goodbye too, which takes longer than the loop lives.
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
    # What was aborted is closed in the loop's next turns.
    for _ in range(2):
        await asyncio.sleep(0)


def _last_port(documents: Documents, name: str) -> int:
    known = documents.collection("server").get(name)
    return int(known["value"]) if known else 0
