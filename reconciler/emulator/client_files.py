"""The files by which a client reaches the emulator: where it is and whom to trust (no secrets), and the secrets.

Azure Resource Manager and sign-in are named with TLS, as azure-identity and Azure's management clients send nothing
without it. The rest stays plain HTTP on loopback: Studio's own clients and the batch service's blob references take
any URL, and nobody has to make the tools that they use trust a certificate authority.
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Self

from reconciler.emulator.config import vaults
from reconciler.emulator.context import Context

# Whatever waits for a model to take effect waits this much longer than that takes.
_SETTLE_MARGIN_SECONDS = 1
_POLL_SECONDS = 0.2
NO_SUCH_HOST = "management.azureml.invalid"
"""A name under a top-level domain in which none will ever exist (RFC 6761, 6.4)."""


def environment(context: Context) -> dict[str, str]:
    """Return the secrets by the names that the studio file gives them."""
    variables: dict[str, str] = {}
    for workspace in context.studio.workspaces:
        if workspace.token_env is not None:
            variables[workspace.token_env] = context.secrets.workspace_token(workspace.id)
    for account in context.studio.storage_accounts:
        if account.connection_string_env is not None:
            variables[account.connection_string_env] = context.storage.connection_string(
                account.name, context.server_url
            )
        if account.second_connection_string_env is not None and account.connection_string is None:
            variables[account.second_connection_string_env] = context.storage.connection_string(
                account.name, context.server_url, second=True
            )
    principal = context.studio.principal
    variables["AZURE_TENANT_ID"] = principal.tenant_id
    variables["AZURE_CLIENT_ID"] = principal.client_id
    variables["AZURE_CLIENT_SECRET"] = context.secrets.client_secret()
    variables["AZURE_AUTHORITY_HOST"] = context.secure_url
    for each in (principal, *context.studio.principals):
        if each.client_secret_env is not None:
            name = "" if each is principal else each.client_id
            variables[each.client_secret_env] = context.secrets.client_secret(name)
    return variables


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Write ``NAME=value`` lines, quoted as a shell wants them, readable by the owner alone."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    write_file("".join(f"{line}\n" for line in lines), path)


def ca_file_beside(cloud_file: Path) -> Path:
    """Return the path of the certificate authority's certificate."""
    return cloud_file.with_name(f"{cloud_file.stem}-ca.pem")


class CloudFile:
    """The file that tells clients where the emulator is.

    Args:
        context: the emulator's parts.
        path: the file.
        env_file: the file of the secrets, which it names.
    """

    def __init__(self, context: Context, path: Path, env_file: Path) -> None:
        self._content = cloud(context, path, env_file)
        self._path = path

    def write(self, *, named: bool = True) -> Self:
        """Write the file, and return this object.

        Args:
            named: False, and Studio's own host is one whose name does not exist, as after the end of the service.
        """
        gone = {} if named else {"managementUrl": f"https://{NO_SUCH_HOST}"}
        write_file(json.dumps(self._content | gone, indent=2) + "\n", self._path)
        return self


def cloud(context: Context, cloud_file: Path, env_file: Path) -> dict[str, Any]:
    """Return the content of the cloud file, which names other files relative to itself.

    ``emulatorUrl`` is for what belongs to the emulator: where it can be reached whatever it makes clients believe.
    """
    takes_effect = context.studio.timings.patch_takes_effect.total_seconds()
    return {
        "formatVersion": "1.0",
        "name": "local",
        "emulatorUrl": context.server_url,
        "managementUrl": context.server_url,
        "resourceManagerUrl": context.secure_url,
        "caFile": ca_file_beside(cloud_file).name,
        "keyVaultUrl": vaults.url_template(context.secure_url),
        "storageUrl": f"{context.server_url}/{{name}}",
        "audience": "https://management.azure.com/",
        "signIn": {
            "authority": context.secure_url,
            "tenantId": context.studio.principal.tenant_id,
            "clientId": {"env": "AZURE_CLIENT_ID"},
            "clientSecret": {"env": "AZURE_CLIENT_SECRET"},
        },
        "envFile": os.path.relpath(env_file.resolve(), cloud_file.resolve().parent),
        "settleSeconds": takes_effect + _SETTLE_MARGIN_SECONDS,
        "pollSeconds": _POLL_SECONDS,
    }


def write_file(text: str, path: Path) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one. Its mode is 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file is made with mode 0600, so the content is never readable by others.
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
