"""What principals sign in with besides a secret, as files beside the env file: certificates and federated tokens."""

import asyncio
from pathlib import Path

from reconciler.emulator.client_files import write_file
from reconciler.emulator.config.principals import FederatedIdentity, Principal
from reconciler.emulator.context import Context
from reconciler.emulator.identity.certificates import rsa_key
from reconciler.emulator.identity.client_assertions import SERVICE_ACCOUNT_TOKEN_LIVES, service_account_token
from reconciler.emulator.identity.routes import Identities

# As the kubelet does: a projected token is replaced once four fifths of its life are over.
_ROTATED_AFTER = SERVICE_ACCOUNT_TOKEN_LIVES * 0.8


class IdentityFiles:
    """The files of one emulator's principals.

    Args:
        context: The emulator.
        env_file: The env file that names them.
    """

    def __init__(self, context: Context, env_file: Path) -> None:
        self._context = context
        self._env_file = env_file
        self._identities = Identities(context)
        self._principals = (context.studio.principal, *context.studio.principals)

    def write(self) -> dict[str, str]:
        """Write the files, and return their paths by the names that the studio file has for them."""
        variables: dict[str, str] = {}
        for principal in self._principals:
            if principal.certificate_env is not None:
                path = self._path(principal, ".pem")
                write_file(self._identities.certificate(principal), path)
                variables[principal.certificate_env] = str(path)
            if principal.federated is not None:
                variables[principal.federated.token_file_env] = str(self._write_token(principal, principal.federated))
        return variables

    async def rotate(self) -> None:
        """Replace federated tokens before they expire, until cancelled."""
        while True:
            await asyncio.sleep(_ROTATED_AFTER.total_seconds())
            for principal in self._principals:
                if principal.federated is not None:
                    self._write_token(principal, principal.federated)

    def _write_token(self, principal: Principal, federated: FederatedIdentity) -> Path:
        path = self._path(principal, ".jwt")
        key = rsa_key(self._identities.cluster_key())
        write_file(service_account_token(key, federated.subject, self._context.clock()), path)
        return path

    def _path(self, principal: Principal, suffix: str) -> Path:
        # Whole, because the env file is read from anywhere.
        return self._env_file.resolve().with_name(f"{self._env_file.stem}-{principal.client_id}{suffix}")
