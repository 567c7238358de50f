"""What every part of the emulator is given."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.emulator.config.studio_file import StudioFile
from reconciler.emulator.documents import Documents
from reconciler.emulator.ml.workers import Workers

if TYPE_CHECKING:  # These folders import this module; the layers contract in pyproject.toml names the exception.
    from reconciler.emulator.execution.code_runs import CodeRuns
    from reconciler.emulator.execution.model_copies import TrainedModels
    from reconciler.emulator.execution.services import ExecutionServices
    from reconciler.emulator.faults.job_faults import JobFaults
    from reconciler.emulator.storage.accounts import StorageAccounts
    from reconciler.emulator.storage.client import BlobClient

CONTROL_PREFIX = "/_studio/"
"""Paths of the emulator's own, which the services do not have."""


class Secrets:
    """The keys and tokens of an emulator: random when first asked for, the same as long as the state lives."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents.collection("secrets")

    def workspace_token(self, workspace_id: str) -> str:
        """Return the workspace's authorization token, 32 hex digits (classic-protocol 1.2: shapes differ)."""
        return self._secret(f"workspace-token/{workspace_id}", lambda: secrets.token_hex(16))

    def storage_key(self, account: str, *, second: bool = False) -> str:
        """Return the base64 key of a storage account, or its other one."""
        return self._secret(_storage_key(account, second=second), new_key)

    def client_secret(self, client_id: str = "") -> str:
        """Return the secret of a principal; that of the studio file's first one if none is named."""
        name = f"client-secret/{client_id}" if client_id else "client-secret"
        return self._secret(name, lambda: secrets.token_urlsafe(30))

    def exchange_workspace_token(self, workspace_id: str) -> None:
        """Give the workspace another token."""
        self._documents[f"workspace-token/{workspace_id}"] = {"value": secrets.token_hex(16)}

    def exchange_storage_key(self, account: str, *, second: bool = False) -> str:
        """Replace one of an account's two keys, and return the new key."""
        self._documents[_storage_key(account, second=second)] = {"value": new_key()}
        return self.storage_key(account, second=second)

    def exchange_client_secret(self, client_id: str = "") -> None:
        """Give a principal another secret; the studio file's first principal if none is named."""
        name = f"client-secret/{client_id}" if client_id else "client-secret"
        self._documents[name] = {"value": secrets.token_urlsafe(30)}

    def pem(self, name: str, make: Callable[[], str]) -> str:
        """Return a private key, or one with its certificate, in PEM; made at the first call."""
        return self._secret(f"pem/{name}", make)

    @staticmethod
    def matches(secret: str, given: str) -> bool:
        """Return whether a caller knows a secret, in a time that does not depend on how close a wrong one is."""
        # A header may hold bytes that are not text; they match nothing, and must not be an error.
        return hmac.compare_digest(secret.encode(), given.encode(errors="surrogateescape"))

    def __repr__(self) -> str:
        return "<Secrets>"

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        found = self._documents.get(name)
        if found is None:
            found = self._documents[name] = {"value": make()}
        return str(found["value"])


def _storage_key(account: str, *, second: bool) -> str:
    return f"second-storage-key/{account}" if second else f"storage-key/{account}"


def new_key() -> str:
    """Return a fresh key for an endpoint, a New service or a storage account: base64 of 64 random bytes."""
    return base64.b64encode(secrets.token_bytes(64)).decode("ascii")


@dataclass
class Context:
    """The parts that the emulator's folders share.

    Attributes:
        documents: durable collections.
        studio: the studio file.
        secrets: keys and tokens.
        workers: training and scoring, in processes of their own.
        code: what runs published code.
        blobs: reads and writes blobs by reference, over HTTP.
        storage: the storage accounts, its own and real ones, for seeding and signing.
        execution: what answers scoring calls and batch jobs.
        models: the emulator's own copies of trained models.
        job_faults: what fault rules have ordered for single jobs.
        clock: the time now, with a time zone.
        new_id: a fresh id of 32 hex digits.
        server_url: this server's own URL without a slash at its end.
        secure_url: likewise, where it listens with TLS.
    """

    documents: Documents
    studio: StudioFile
    secrets: Secrets
    workers: Workers
    code: CodeRuns
    blobs: BlobClient
    storage: StorageAccounts
    execution: ExecutionServices
    models: TrainedModels
    job_faults: JobFaults
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    server_url: str = ""
    secure_url: str = ""
