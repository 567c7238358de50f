"""Exchange of secrets while an emulator runs, as their owners do in the portal; the old ones are then refused."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web

from reconciler.emulator.context import CONTROL_PREFIX, Context
from reconciler.emulator.execution.errors import bad_argument
from reconciler.emulator.key_vault.secrets import VaultSecrets

_SORTS = ("workspaceToken", "storageKey", "secondStorageKey", "clientSecret")


class Rotation:
    """The secrets of one emulator.

    Args:
        context: The emulator.
        vaults: What its vaults hold.
        publish: Writes the env file again.
    """

    def __init__(self, context: Context, vaults: VaultSecrets, publish: Callable[[], None]) -> None:
        self._context = context
        self._vaults = vaults
        self._publish = publish

    def exchange(self, sort: str, name: str, *, publish: bool = True) -> None:
        """Give the named thing a new secret.

        Args:
            sort: ``workspaceToken``, ``storageKey``, ``secondStorageKey`` or ``clientSecret``.
            name: The workspace's id, the account's name, or the principal's client id.
            publish: Whether the new secret goes into the env file and the vaults, where clients find it; otherwise
                nobody but the service knows it.

        Raises:
            KeyError: there is no such thing.
        """
        studio, secrets = self._context.studio, self._context.secrets
        if sort == "workspaceToken" and studio.workspace(name) is not None:
            secrets.exchange_workspace_token(name)
        elif sort in {"storageKey", "secondStorageKey"} and any(
            each.name == name and each.connection_string is None for each in studio.storage_accounts
        ):
            second = sort == "secondStorageKey"
            key = secrets.exchange_storage_key(name, second=second)
            self._context.storage.exchange_key(name, key, second=second)
        elif sort == "clientSecret" and name in {each.client_id for each in (studio.principal, *studio.principals)}:
            secrets.exchange_client_secret("" if name == studio.principal.client_id else name)
        else:
            raise KeyError(name)
        if publish:
            self._publish()
            self._vaults.take_over()

    def routes(self) -> list[web.RouteDef]:
        """Return ``POST /_studio/rotations``, for ``{"workspaceToken": ID}`` or the like, and ``"publish": false``."""

        async def rotate(request: web.Request) -> web.Response:
            try:
                asked = json.loads(await request.read())
            except ValueError:
                asked = None
            asked = dict(asked) if isinstance(asked, dict) else {}
            publish = asked.pop("publish", True) is not False
            if len(asked) != 1 or not set(asked) <= set(_SORTS):
                raise bad_argument("RequestBodyInvalid", f"Give one of {', '.join(_SORTS)}, and publish if you like.")
            ((sort, name),) = asked.items()
            try:
                self.exchange(sort, str(name), publish=publish)
            except KeyError:
                raise bad_argument("UserParameterInvalid", f"Unknown {sort}: {name!r}.") from None
            return web.Response(status=204)

        return [web.post(f"{CONTROL_PREFIX}rotations", rotate)]
