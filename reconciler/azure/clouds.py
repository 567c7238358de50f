"""Clouds: the hosts of a Studio and where to sign in.

``public`` and ``germany`` are built in; any other is a JSON file, such as the emulator writes.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.azure.errors import CloudError
from reconciler.bounded_json import read_json

FORMAT_MAJOR = "1"

# Azure naming rules, Microsoft.Storage; how long it may be is left to the service.
_ACCOUNT = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts, sign-in and pace of one cloud.

    Attributes:
        name: What people call it.
        resource_manager_url: Base URL of Azure Resource Manager, without a trailing slash.
        audience: Whom a Resource Manager token is for.
        regions: Management base URL by region, as the service spells regions (classic-protocol 1.1).
        management_base: One management base URL for every region, instead of ``regions``.
        authority: Where to sign in, a host or an https URL.
        tenant_id: The tenant of the client to sign in as; without one, azure-identity's default chain finds whom.
        client_id_env: Name of the environment variable that holds the client id.
        client_secret_env: Name of the environment variable that holds the client secret.
        ca_file: The certificate authorities, in PEM, that alone are trusted to vouch for the authority and for
            Resource Manager; the system's if left out.
        env_file: ``KEY=VALUE`` file in which such variables are.
        settle: How long a changed endpoint takes to serve its new model (classic-protocol 1.7: about 30 s).
        poll: First interval of polling a job or an operation.
        allow_http: Whether some of its hosts are plain HTTP, which only loopback hosts may be.
        key_vaults: Base URL of its Key Vaults, with ``{name}`` where a vault's name goes.
        storage: Blob endpoint of its storage accounts, with ``{name}`` where an account's name goes.
    """

    name: str
    resource_manager_url: str
    audience: str
    regions: Mapping[str, str] = field(default_factory=dict)
    management_base: str | None = None
    authority: str | None = None
    tenant_id: str | None = None
    client_id_env: str | None = None
    client_secret_env: str | None = None
    ca_file: Path | None = None
    env_file: Path | None = None
    settle: timedelta = timedelta(seconds=30)
    poll: timedelta = timedelta(seconds=5)
    allow_http: bool = False
    key_vaults: str | None = None
    # Azure Storage documentation, "Storage account endpoints".
    storage: str = "https://{name}.blob.core.windows.net"

    @property
    def scope(self) -> str:
        """The scope to ask a Resource Manager token for."""
        return self.audience.rstrip("/") + "/.default"

    def management_url(self, region: str) -> str:
        """Return the base URL of the Classic management API in ``region``, without a trailing slash.

        Spaces and letter case do not matter: ``southcentralus`` is ``South Central US``.

        Raises:
            CloudError: the cloud has no such region; the message lists those it has.
        """
        if self.management_base is not None:
            return self.management_base
        by_key = {_region_key(name): url for name, url in self.regions.items()}
        url = by_key.get(_region_key(region))
        if url is None:
            raise CloudError(self._unknown_region(region))
        return url

    def other_regions(self, region: str) -> Mapping[str, str]:
        """Return the management base URLs of all regions whose host is not that of ``region``, by region."""
        own = {url for name, url in self.regions.items() if _region_key(name) == _region_key(region)}
        return {name: url for name, url in self.regions.items() if url not in own}

    def key_vault_url(self, vault: str) -> str:
        """Return the base URL of a Key Vault, without a trailing slash.

        Args:
            vault: Its name, or its URL, which must be one of this cloud's: a token goes to no other host.

        Raises:
            CloudError: the URL is another cloud's or no vault's, or the cloud does not say where its vaults are.
        """
        if self.key_vaults is None:
            raise CloudError(
                f"cloud {self.name!r} has no Key Vault URL. Add keyVaultUrl to its file, "
                "for example https://{name}.vault.azure.net"
            )
        if "://" not in vault:
            return self.key_vaults.replace("{name}", vault.lower())
        before, after = self.key_vaults.split("{name}")
        url = vault.lower().rstrip("/").removesuffix(":443")
        if not re.fullmatch(f"{re.escape(before)}[a-z][a-z0-9-]*{re.escape(after)}", url):
            shown = self.key_vaults.replace("{name}", "NAME")
            raise CloudError(
                f"{vault} is not a Key Vault of cloud {self.name!r}, whose vaults are {shown}. "
                "Write only the name of the vault, which works in every cloud"
            )
        return url

    def storage_url(self, account: str) -> str:
        """Return the blob endpoint of a storage account, with a trailing slash.

        Raises:
            CloudError: no account is called so, and what is signed with its key goes to no other host.
        """
        if not _ACCOUNT.fullmatch(account):
            raise CloudError(f"{account!r} is not the name of a storage account: 3 to 24 lower-case letters and digits")
        return self.storage.replace("{name}", account) + "/"

    def _unknown_region(self, region: str) -> str:
        keys = {_region_key(name): name for name in self.regions}
        near = difflib.get_close_matches(_region_key(region), keys, n=1)
        hint = f", did you mean {keys[near[0]]!r}?" if near else ";"
        return f"cloud {self.name!r} has no region {region!r}{hint} it has {', '.join(self.regions)}"


def _region_key(region: str) -> str:
    return "".join(region.split()).lower()


PUBLIC = Cloud(
    name="public",
    resource_manager_url="https://management.azure.com",
    audience="https://management.azure.com/",
    authority="login.microsoftonline.com",
    # Key Vault documentation, "Object identifiers", as for germany's.
    key_vaults="https://{name}.vault.azure.net",
    # classic-protocol 1.1
    regions={
        "South Central US": "https://management.azureml.net",
        "West Europe": "https://europewest.management.azureml.net",
        "Southeast Asia": "https://asiasoutheast.management.azureml.net",
        "Japan East": "https://japaneast.management.azureml.net",
        "West Central US": "https://uswestcentral.management.azureml.net",
        "Integration Test": "https://management.azureml-int.net",
    },
)

GERMANY = Cloud(
    name="germany",
    resource_manager_url="https://management.microsoftazure.de",
    audience="https://management.core.cloudapi.de/",
    authority="login.microsoftonline.de",
    key_vaults="https://{name}.vault.microsoftazure.de",
    storage="https://{name}.blob.core.cloudapi.de",
    # classic-protocol 1.1
    regions={"Germany Central": "https://germanycentral.management.azureml.de"},
)

BUILT_IN = {cloud.name: cloud for cloud in (PUBLIC, GERMANY)}


def load_cloud(name_or_path: str | Path) -> Cloud:
    """Return a built-in cloud by its name, else the cloud file at that path.

    Raises:
        CloudError: there is neither, or the file is not a cloud file. The message names the wrong member.
    """
    built_in = BUILT_IN.get(str(name_or_path))
    if built_in is not None:
        return built_in
    path = Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CloudError(_not_found(name_or_path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CloudError(f"cloud file {path} cannot be read: {error}") from error
    try:
        content = read_json(text)
    except json.JSONDecodeError as error:
        raise CloudError(f"cloud file {path} is not JSON: line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # nested too deep, or a number with too many digits
        raise CloudError(f"cloud file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CloudError(f"cloud file {path} must be a JSON object")
    return _CloudFile(path, content).cloud()


def _not_found(name_or_path: str | Path) -> str:
    near = difflib.get_close_matches(str(name_or_path), BUILT_IN, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = " and ".join(repr(name) for name in BUILT_IN)
    origin = f"built-in clouds: {known}; `reconcile emulator` writes a cloud file when it starts"
    return f"no cloud file {str(name_or_path)!r}{hint} ({origin})"


@dataclass(frozen=True, slots=True)
class _CloudFile:
    """Reads a cloud file's members; unknown ones belong to a later minor version and are ignored."""

    path: Path
    content: dict[str, Any]

    def cloud(self) -> Cloud:
        version = self._text(self.content, "formatVersion")
        if version.split(".")[0] != FORMAT_MAJOR:
            raise self._error("formatVersion", f"is {version!r}; this version of reconciler reads {FORMAT_MAJOR}.x")
        sign_in = self.content.get("signIn")
        if sign_in is not None and not isinstance(sign_in, dict):
            raise self._error("signIn", "must be an object")
        regions = self._regions()
        named = ("resourceManagerUrl",) if regions else ("managementUrl", "resourceManagerUrl")
        urls = {name: self._url(self.content, name) for name in named}
        authority, tenant, client_id, client_secret = PUBLIC.authority, None, None, None
        if sign_in is not None:
            authority = self._authority(sign_in)
            # No client: the default chain finds one. Half a client is an error.
            if not sign_in.keys().isdisjoint({"tenantId", "clientId", "clientSecret"}):
                tenant = self._text(sign_in, "tenantId", "signIn.")
                client_id = self._variable(sign_in, "clientId")
                client_secret = self._variable(sign_in, "clientSecret")
        env_file = self._text(self.content, "envFile") if "envFile" in self.content else None
        return Cloud(
            name=self._text(self.content, "name"),
            regions=regions,
            management_base=urls.get("managementUrl"),
            resource_manager_url=urls["resourceManagerUrl"],
            audience=self._text(self.content, "audience"),
            authority=authority,
            tenant_id=tenant,
            client_id_env=client_id,
            client_secret_env=client_secret,
            ca_file=self._ca_file(),
            env_file=self.path.parent / env_file if env_file else None,
            settle=self._seconds("settleSeconds", PUBLIC.settle),
            poll=self._seconds("pollSeconds", PUBLIC.poll),
            allow_http=any(url.startswith("http://") for url in (*urls.values(), *regions.values())),
            key_vaults=self._key_vaults(),
            storage=self._storage(),
        )

    def _regions(self) -> dict[str, str]:
        """Return the management host of each region, where a cloud has several; ``managementUrl`` is for all."""
        given = self.content.get("regions", {})
        if not isinstance(given, dict) or ("regions" in self.content and not given):
            raise self._error("regions", "must be an object with a URL for each region")
        if given and self.content.get("managementUrl") is not None:
            raise self._error("regions", "and managementUrl exclude each other")
        return {region: self._url(given, region, "regions.") for region in given}

    def _error(self, member: str, what: str) -> CloudError:
        return CloudError(f"cloud file {self.path}: {member} {what}")

    def _text(self, where: Mapping[str, Any], member: str, prefix: str = "") -> str:
        value = where.get(member)
        if not isinstance(value, str) or not value:
            raise self._error(prefix + member, "is missing" if value is None else "must be a text")
        return value

    def _url(self, where: Mapping[str, Any], member: str, prefix: str = "") -> str:
        value = self._text(where, member, prefix)
        try:
            parts = urlsplit(value)
            host = parts.hostname
        except ValueError as error:
            raise self._error(prefix + member, f"is not a URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not host:
            raise self._error(prefix + member, f"must be an http or https URL, not {value!r}")
        if parts.username is not None or parts.password is not None or parts.query:
            raise self._error(prefix + member, "must not have credentials or a query")
        if parts.scheme == "http" and not is_loopback(host):
            raise self._error(prefix + member, f"uses http on {host!r}, which would send keys in the clear: use https")
        return value.rstrip("/")

    def _authority(self, sign_in: Mapping[str, Any]) -> str:
        url = self._url(sign_in, "authority", "signIn.")
        if not url.startswith("https://"):
            raise self._error("signIn.authority", "must be an https URL: no secret is sent without TLS")
        return url

    def _key_vaults(self) -> str | None:
        if "keyVaultUrl" not in self.content:
            return None
        template = self._text(self.content, "keyVaultUrl")
        url = self._url({"keyVaultUrl": template.replace("{name}", "name")}, "keyVaultUrl")
        parts = urlsplit(url)
        if template.count("{name}") != 1 or "{name}." not in template or parts.scheme != "https" or parts.path:
            raise self._error("keyVaultUrl", "must be like https://{name}.vault.azure.net, with {name} in its host")
        return template.rstrip("/").lower()

    def _storage(self) -> str:
        """Also with the account's name in the path, as an account on an IP address has it."""
        if "storageUrl" not in self.content:
            return PUBLIC.storage
        template = self._text(self.content, "storageUrl")
        self._url({"storageUrl": template.replace("{name}", "name")}, "storageUrl")
        if template.count("{name}") != 1:
            raise self._error("storageUrl", "must be like https://{name}.blob.core.windows.net, with {name} in it")
        return template.rstrip("/")

    def _ca_file(self) -> Path | None:
        if "caFile" not in self.content:
            return None
        path = self.path.parent / self._text(self.content, "caFile")
        try:
            # Read here, where it can be said which file is wrong.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except FileNotFoundError:
            raise self._error("caFile", f"names {path}, which does not exist") from None
        except OSError as error:
            raise self._error("caFile", f"names {path}, which is not a certificate in PEM format: {error}") from error
        return path

    def _variable(self, sign_in: Mapping[str, Any], member: str) -> str:
        value = sign_in.get(member)
        if not isinstance(value, dict) or not isinstance(value.get("env"), str) or not value["env"]:
            raise self._error(f"signIn.{member}", 'must be {"env": "NAME"}: the file must not hold secrets')
        return str(value["env"])

    def _seconds(self, member: str, default: timedelta) -> timedelta:
        value = self.content.get(member)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
            raise self._error(member, "must be a number of seconds from 0 to 86400")
        return timedelta(seconds=value)


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine by its spelling; nothing is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
