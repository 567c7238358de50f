"""The Studio's certificate authority, and the port that speaks TLS."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import azure.identity
import pytest
from azure.mgmt.resource.resources import ResourceManagementClient
from cryptography import x509

from reconciler.emulator.identity.certificates import ServerTls, certificate_in, new_authority

SCOPE = "https://management.azure.com/.default"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"


@pytest.fixture(scope="session")
def authority():
    return new_authority()


def trusting(authority_pem):
    return ssl.create_default_context(cadata=authority_pem)


def shake_hands(server, client, name):
    """Both sides of a handshake, in memory; gives the server's certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [one, other, one, other]
    for side in waiting:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    der = one.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_trusts_the_server_under_both_names(authority, name):
    tls = ServerTls(authority)
    certificate = shake_hands(tls.context, trusting(tls.authority), name)
    assert certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=1)


@pytest.mark.parametrize("name", ["management.azure.com", "127.0.0.2"])
def test_the_server_is_nobody_else(authority, name):
    tls = ServerTls(authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tls.context, trusting(tls.authority), name)


def test_the_authority_can_vouch_for_loopback_alone(authority):
    """So that one whose key is lost cannot be used to pose as a real host."""
    certificate = certificate_in(ServerTls(authority).authority)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = [each.value for each in constraints.value.permitted_subtrees]
    assert permitted == ["localhost", ip_network("127.0.0.0/8"), ip_network("::1/128")]
    assert ip_address("127.0.0.1") in permitted[1]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_servers_certificate_is_renewed_at_a_handshake_before_it_expires(authority, name):
    """A client that gives an address sends no server name, and counts all the same."""
    now = datetime.now(UTC) - timedelta(
        hours=12
    )  # OpenSSL goes by the machine's clock, to which both have to be valid.
    late = timedelta(0)
    tls = ServerTls(authority, lambda: now + late)
    client = trusting(tls.authority)
    first = shake_hands(tls.context, client, name)
    assert shake_hands(tls.context, client, name) == first
    late = timedelta(hours=12)
    second = shake_hands(tls.context, client, name)
    assert second.not_valid_after_utc == first.not_valid_after_utc + late


def test_the_cloud_file_names_the_authority_and_no_secret_lies_open(studio, studio_door):
    certificate = certificate_in(Path(studio_door.ca_file).read_text())
    assert certificate.subject.rfc4514_string() == r"CN=Local Studio (this machine only)"
    for name in ("AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"):
        path = studio.env_file.with_name(studio_door.environ[name].rpartition("/")[2])
        assert str(path) == studio_door.environ[name]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in Path(studio_door.ca_file).read_text()


async def test_both_ports_serve_the_same_studio(studio, studio_door):
    context = ssl.create_default_context(cafile=studio_door.ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        for url in (studio_door.cloud["managementUrl"], studio_door.resource_manager):
            async with session.get(f"{url}/_studio/health") as reply:
                assert reply.status == 200


async def test_a_client_that_speaks_no_tls_is_turned_away_and_disturbs_nobody(studio_door):
    parts = urlsplit(studio_door.resource_manager)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1.1 200" not in await reader.read()
    writer.close()
    context = ssl.create_default_context(cafile=studio_door.ca_file)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{studio_door.resource_manager}/_studio/health", ssl=context) as reply,
    ):
        assert reply.status == 200


def test_a_restart_keeps_the_port_the_authority_and_the_tokens(studio_thread, first_state, door, tmp_path):
    """A client that runs on need not notice."""
    state = tmp_path / "state"
    shutil.copytree(first_state, state)
    with studio_thread.studio(state=state) as running:
        before = door(running)
        authority = Path(before.ca_file).read_text()
        secret = before.environ["AZURE_CLIENT_SECRET"]
        credential = azure.identity.ClientSecretCredential(*before.identity, secret, **before.options())
        token = credential.get_token(SCOPE)
    with studio_thread.studio(state=state) as running, credential:
        after = door(running)
        assert after.cloud == before.cloud
        assert Path(after.ca_file).read_text() == authority
        assert after.environ == before.environ
        client = ResourceManagementClient(
            credential,
            SUBSCRIPTION,
            base_url=before.resource_manager,
            credential_scopes=[SCOPE],
            connection_verify=before.ca_file,
        )
        with client:
            assert [group.name for group in client.resource_groups.list()] == ["contoso-ml"]
        # Still the one of before the restart.
        assert credential.get_token(SCOPE).token == token.token


def test_a_tls_port_that_somebody_has_gives_way_to_another(studio_thread, first_state, door, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(first_state, state)
    with studio_thread.studio(state=state) as running:
        before = door(running)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", urlsplit(before.resource_manager).port))
        other.listen()
        with studio_thread.studio(state=state) as running:
            after = door(running)
            assert after.authority == after.environ["AZURE_AUTHORITY_HOST"] != before.authority
