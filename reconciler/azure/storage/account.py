"""One storage account with the key that it accepts.

An account has two keys, so that one can be regenerated while the other serves, and either may be exchanged while a run
goes on. A key that is refused is looked up again where its place is known; if it is the same there, or refused too, the
account's other key is taken, if it is given. Whatever is done with the account is done with the key in use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from reconciler.azure.clouds import is_loopback
from reconciler.azure.credentials import ANOTHER_ONE, RefreshableSecret, refused
from reconciler.azure.errors import ConnectionStringError, InvalidReply, NotFound, ServiceError, SignInError
from reconciler.azure.storage.uploads import BLOCK

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient

REFUSED = "AuthenticationFailed"
"""What storage calls a signature that was not made with the account's key, with status 403."""

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Known:
    """One of the account's keys: its connection string as it was last found, and where that is from."""

    connection_string: SecretStr
    source: RefreshableSecret | None


class StorageAccount:
    """A storage account by its connection strings, one with each of its keys. `close` it in the end.

    Attributes:
        name: The account's name.
        base: Its blob endpoint with a trailing slash.
        service: The client with the key in use.
        connection_string: The connection string with the key in use.
    """

    def __init__(self, connection_string: SecretStr, source: RefreshableSecret | None, retry_pause: int) -> None:
        parts = _parts(connection_string.get_secret_value())
        self.name = parts["accountname"]
        self.connection_string = connection_string
        self.service = _service(connection_string, retry_pause)
        self.base = f"{self.service.url.split('?')[0].rstrip('/')}/"
        self._exchanged = False
        self._known = [_Known(connection_string, source)]
        self._in_use = self._known[0]
        self._retry_pause = retry_pause
        self._replaced: list[BlobServiceClient] = []
        self._is_accepted = False
        place = urlsplit(self.base)
        # The service is handed the string as it is, whatever the client library makes of it.
        in_clear = "http" in {place.scheme, parts.get("defaultendpointsprotocol", "").lower()}
        if in_clear and not is_loopback(place.hostname or ""):
            raise ConnectionStringError(
                f"the storage connection string would send data to {place.netloc} without TLS. "
                "Write DefaultEndpointsProtocol=https, or an https BlobEndpoint"
            )

    def also(self, connection_string: SecretStr, source: RefreshableSecret | None) -> None:
        """Give the account's other key.

        Raises:
            ConnectionStringError: not a connection string with a key, or of another account.
        """
        other = StorageAccount(connection_string, source, self._retry_pause)
        if not self.holds(other.base):
            raise ConnectionStringError(
                f"this connection string is of account {other.base}, and the other one of {self.base}. "
                "Use two keys of one account"
            )
        self._known.append(_Known(connection_string, source))

    async def close(self) -> None:
        """Close the clients: those that were replaced too, as calls may have been under way with them."""
        for service in (*self._replaced, self.service):
            await service.close()

    @property
    def key(self) -> SecretStr:
        """The key in use."""
        return SecretStr(_parts(self.connection_string.get_secret_value())["accountkey"])

    @property
    def has_another(self) -> bool:
        """Whether something may have been signed with another key than the one in use."""
        return self._exchanged or len(self._known) > 1

    def holds(self, base: str) -> bool:
        """Whether ``base``, of some location, is this account; letter case, slashes and http or https aside."""
        return _identity(base) == _identity(self.base)

    async def accepted(self, ask: Callable[[], Awaitable[object]]) -> None:
        """See to it that the key in use is one that the account accepts, if there is a choice.

        Args:
            ask: Makes a cheap call by `ask`; it is made unless another call has told. It may raise.
        """
        if len(self._known) > 1 and not self._is_accepted:
            await ask()

    async def ask(self, operation: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call with the account's key; ``call`` makes it anew each time, with the key as it then is.

        Raises:
            SignInError: no given key is accepted; the message names what refers to them.
            ServiceError: storage refuses, or cannot be reached.
        """
        refusals: set[str] = set()
        reasons: dict[_Known, str] = {}
        while True:
            used = self.connection_string
            try:
                async with self.asking(operation):
                    found = await call()
            except ServiceError as error:
                if not isinstance(error, SignInError) or not error.has_code(REFUSED):
                    # What is not there is said to those alone whose key is accepted.
                    self._is_accepted = self._is_accepted or isinstance(error, NotFound)
                    raise
                refusals.add(used.get_secret_value())
                told = await self._another(error, used, refusals, reasons)
                if told is not None:
                    raise told from None
                continue
            self._is_accepted = True
            return found

    async def _another(
        self, error: SignInError, used: SecretStr, refusals: set[str], reasons: dict[_Known, str]
    ) -> SignInError | None:
        """Take up a key that was not refused yet; else the error to raise, with why there is none.

        Args:
            error: What was raised.
            used: The connection string that was refused.
            refusals: All that were, for this call.
            reasons: Why a key that was looked up again for this call is of no use.
        """
        if used is not self.connection_string:
            return None  # Another call has done it.
        first = self._in_use
        for known in (first, *(each for each in self._known if each is not first)):
            reason = reasons.get(known) or await self._take_up(known, refusals, reasons)
            if not reason or used is not self.connection_string:
                return None
            reasons[known] = reason
            if known.source is not None:
                error = refused(error, known.source, reason)
        return error

    async def _take_up(self, known: _Known, refusals: set[str], reasons: dict[_Known, str]) -> str:
        """Use one of the keys, looked up again if it was refused; else why it cannot be used."""
        string = known.connection_string
        if string.get_secret_value() in refusals:
            if known.source is None:
                return "the value was refused"
            renewal = await known.source.refresh(string)
            if renewal.value is None:
                return renewal.reason
            string = renewal.value
            reasons[known] = ANOTHER_ONE  # if this one is refused as well
        if string == self.connection_string:
            return ""  # Another call has taken it up meanwhile.
        try:
            service = _service(string, self._retry_pause)
        except ConnectionStringError as error:
            return f"its new value cannot be used: {error}"
        if not self.holds(service.url.split("?")[0]):
            # What is known of blobs, in the store and in plans, is known of the account that the run began with.
            await service.close()
            other = service.url.split("?")[0]
            return f"its new value is of another account, {other}. Run again to continue with that account"
        self._replaced.append(self.service)
        self.service, self.connection_string = service, string
        known.connection_string, self._in_use, self._exchanged = string, known, True
        return ""

    @asynccontextmanager
    async def asking(self, operation: str, url: str | None = None) -> AsyncIterator[None]:
        """Turn what the library raises into the errors of this room."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - as late as the client itself

        from reconciler.azure.error_mapping import Call, translated  # noqa: PLC0415

        try:
            yield
        except AzureError as error:
            raise translated(Call(operation, url or self.base), error) from None
        except ValueError as error:
            # The library's word for an answer that lacks a header, or for a URL that is none.
            raise InvalidReply(str(error), operation=operation) from None


def client_options(endpoint: str, retry_pause: int) -> dict[str, Any]:
    """Few tries, short waits; and no proxy in front of a loopback account."""
    from azure.storage.blob.aio import LinearRetry  # noqa: PLC0415 - late: takes 0.3 s

    return {
        "retry_policy": LinearRetry(backoff=retry_pause, retry_total=3, random_jitter_range=retry_pause),
        "max_single_put_size": BLOCK,
        "connection_timeout": 10,
        "read_timeout": 60,
        "use_env_settings": not is_loopback(urlsplit(endpoint).hostname or ""),
    }


def connection_string_of(account: str, key: SecretStr, base: str) -> SecretStr:
    """Return the connection string of a storage account.

    Args:
        account: Its name.
        key: Its key.
        base: Its blob endpoint.
    """
    scheme = base.partition(":")[0]
    return SecretStr(
        f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={key.get_secret_value().strip()};"
        f"BlobEndpoint={base.rstrip('/')};"
    )


def _parts(connection_string: str) -> dict[str, str]:
    parts = {
        name.strip().lower(): value.strip()
        for name, sign, value in (part.partition("=") for part in connection_string.split(";"))
        if sign
    }
    missing = [name for name in ("AccountName", "AccountKey") if not parts.get(name.lower())]
    if missing:
        raise ConnectionStringError(
            f"the storage connection string has no {' and no '.join(missing)}. "
            "Expected: DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…"
        )
    return parts


def _service(connection_string: SecretStr, retry_pause: int) -> BlobServiceClient:
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 - late: takes 0.3 s

    secret = connection_string.get_secret_value()
    endpoint = _parts(secret).get("blobendpoint", "")
    try:
        return BlobServiceClient.from_connection_string(secret, **client_options(endpoint, retry_pause))
    except ValueError as error:
        raise ConnectionStringError(f"the storage connection string cannot be used: {error}") from None


def _identity(base: str) -> tuple[str, str]:
    parts = urlsplit(base.lower())
    return parts.netloc, parts.path.strip("/")
