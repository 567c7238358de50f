"""No secret leaves the memory but on the wire: not in a line, a plan, a row, a log, whatever is asked and goes wrong.

What was secret is collected afterwards from where it was used (the env file, the service's keys, the very requests), so
nothing is left out because nobody thought of it. A piece of sixteen characters counts: a message may be cut short.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest

from tests.support.rig import LABEL, NEW_SERVICE, still_running
from tests.support.studio import WORKSPACE

PIECE = 16
STATUS = ("GET", r"/jobs/\w+$")
WRONG_KEY = base64.b64encode(b"a key that opens nothing, and is a secret none the less, is it not").decode()
WRONG_TOKEN = "f00dfacef00d0123456789abcdefabcd"
WRONG_SIGNATURE = "bm90IGEgc2lnbmF0dXJlLCBidXQgYSBzZWNyZXQ%3D"


def variants(secret: str) -> Iterator[str]:
    """How a secret may be spelled when it ends up somewhere."""
    yield secret
    yield unquote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield secret.replace("/", "\\/")
    yield base64.b64encode(secret.encode()).decode()
    yield base64.urlsafe_b64encode(secret.encode()).decode()


def leaks(places: Mapping[str, bytes], secrets: Iterable[str]) -> set[tuple[str, str]]:
    """Where a piece of a secret was found, and whose."""
    pieces: dict[bytes, str] = {}
    for secret in secrets:
        assert len(secret) >= PIECE, "too short to be told from chance"
        for spelled in map(str.encode, variants(secret)):
            pieces |= {spelled[at : at + PIECE]: secret for at in range(len(spelled) - PIECE + 1)}
    return {
        (name, pieces[content[at : at + PIECE]])
        for name, content in places.items()
        for at in range(len(content) - PIECE + 1)
        if content[at : at + PIECE] in pieces
    }


def places(rig: Any, log: str) -> dict[str, bytes]:
    """All that outlives a run: what was printed and logged, all files in the user's directory, the Studio's log."""
    files = [path for path in rig.home.rglob("*") if path.is_file() and path.parent.name != "secret"]
    return {
        "printed": "\n".join(rig.outputs).encode(),
        "logged": log.encode(),
        "the Studio's log": rig.studio.log.read_bytes(),
        **{str(path.relative_to(rig.home)): path.read_bytes() for path in files},
    }


def secrets_in_use(rig: Any) -> set[str]:
    """From the env file, from what the service shows, and from what went over the wire."""
    environment = rig.studio.secrets()
    token = environment["CONTOSO_WORKSPACE_TOKEN"]
    found = {token, environment["AZURE_CLIENT_SECRET"], account_key(environment["CONTOSO_STORAGE"])}
    services = f"/workspaces/{WORKSPACE}/webservices"
    for service in rig.studio.send("GET", services, token):
        for endpoint in rig.studio.send("GET", f"{services}/{service['Id']}/endpoints", token):
            found |= {endpoint["PrimaryKey"], endpoint["SecondaryKey"]}
    found |= set(
        rig.studio.send("GET", f"{NEW_SERVICE}/listKeys?api-version=2017-01-01", rig.studio.sign_in()).values()
    )
    for one in rig.proxy.exchanges:
        found.add(one.headers.get("Authorization", "Bearer ").removeprefix("Bearer "))
        for text in (one.query, one.body.decode(), one.reply.decode(errors="replace")):
            found |= set(re.findall(r"(?:^|[?&;])sig=([^&\"\\]+)", text))
            found |= set(re.findall(r"\"access_token\": ?\"([^\"]+)", text))
    return found - {""}


def part_of(connection_string: str, name: str) -> str:
    return next(part for part in connection_string.split(";") if part.startswith(f"{name}="))[len(name) + 1 :]


def account_key(connection_string: str) -> str:
    return part_of(connection_string, "AccountKey")


def echo(exchange: Any) -> str:
    """A service may repeat a request when it rejects it."""
    return f"Authorization: {exchange.headers.get('Authorization')}; body: {exchange.body.decode()}"


def bare_echo(exchange: Any) -> str:
    """The same, with the key out of its context, where nothing but the key itself tells what it is."""
    return f"{exchange.headers.get('Authorization', '').partition(' ')[2]} is not good for {exchange.path}"


@pytest.fixture
def everything(rig: Any, caplog: pytest.LogCaptureFixture) -> Any:
    """A rig whose logging is as wordy as it gets."""
    caplog.set_level(logging.DEBUG)
    return rig


def look_at_it(rig: Any) -> None:
    """Every command that shows something."""
    for output, file in (("text", "plan.txt"), ("json", "plan.json"), ("markdown", "plan.md")):
        rig.run("--dry-run", "--output", output, "--out", str(rig.home / file))
        rig.run("status", "--output", "text")
    for command in ("status", "history"):
        for output in ("text", "json"):
            rig.run(command, "--output", output)
    rig.run("validate")
    rig.run("schema", "plan")


def test_no_secret_is_left_by_what_goes_well_or_is_cut_short(everything: Any, caplog: Any) -> None:
    rig = everything
    rig.write("a", "b", new=True)
    look_at_it(rig)
    rule = rig.proxy.change(*STATUS, still_running)
    for end in (signal.SIGKILL, signal.SIGINT):
        hold = rig.proxy.hold(*STATUS, nth=3, done=True)
        process = rig.begin()
        hold.wait(process)
        process.send_signal(end)
        rig.end(process, {signal.SIGKILL: -9, signal.SIGINT: 130}[end])
        hold.drop()
        look_at_it(rig)
    rule.end()
    stale = shutil.copy(rig.home / "plan.json", rig.home / "stale.json")
    rig.run("apply", str(rig.home / "plan.json"), "--output", "json")
    rig.run("apply", str(stale), code=3)
    rig.run("--yes")
    look_at_it(rig)

    secrets = secrets_in_use(rig)

    assert len(secrets) > 12
    assert set() == leaks(places(rig, caplog.text), secrets)


def test_no_secret_is_left_by_wrong_secrets(
    everything: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rig = everything
    rig.write("a", new=True)
    right = rig.studio.secrets()
    storage = right["CONTOSO_STORAGE"]
    wrong = {
        "CONTOSO_WORKSPACE_TOKEN": (WRONG_TOKEN, f"{WRONG_TOKEN}\n{WRONG_TOKEN}"),
        "CONTOSO_STORAGE": (
            storage.replace(account_key(storage), WRONG_KEY),
            storage.replace(account_key(storage), WRONG_KEY[:-3]),
            storage.replace("AccountName", "AccuontName"),
            account_key(storage),
        ),
    }
    for name, values in wrong.items():
        for value in values:
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                rig.run("--yes", code=1)
    cloud = json.loads(rig.cloud_file.read_text())
    env_file = tmp_path / "wrong.env"
    # A cloud signs in with what its env file has, whatever the environment says.
    env_file.write_text(Path(cloud["envFile"]).read_text().replace(right["AZURE_CLIENT_SECRET"], WRONG_TOKEN))
    rig.cloud_file.write_text(json.dumps({**cloud, "envFile": str(env_file)}))
    rig.run("--yes", code=5)  # without its sign-in only the New web service fails
    rig.cloud_file.write_text(json.dumps(cloud))
    rig.run("history")
    rig.run("status", "--output", "json")

    assert set() == leaks(places(rig, caplog.text), secrets_in_use(rig) | {WRONG_TOKEN, WRONG_KEY})


def test_no_secret_is_left_by_a_vault(everything: Any, caplog: Any) -> None:
    """Its secrets are in its answers, whole or in halves, and its token is in what it is asked."""
    rig = everything
    rig.write("a")
    for name, secret in (
        ("CONTOSO_WORKSPACE_TOKEN", "workspace-token"),
        ("CONTOSO_STORAGE", "storage-connection-string"),
    ):
        reference = f"{{keyVault: {{vault: contoso-vault, secret: {secret}}}}}"
        rig.edit(f"{{env: {name}}}", reference, "contoso.yaml")
    exchanged = {rig.studio.token()}
    look_at_it(rig)
    for effect in (
        {"body": "broken"},
        {"cut": 0.9},
        {"body": "html"},
        {"answer": {"code": "Forbidden/SecretDisabled"}},
    ):
        rig.studio.tell("faults", rules=[{"operation": "keyVault.*", "after": 1, **effect}])
        rig.run("--yes", code=1)
        rig.studio.clear_faults()
    rig.studio.exchange(workspaceToken=WORKSPACE, publish=False)
    rig.run("--yes", code=1)
    rig.studio.exchange(workspaceToken=WORKSPACE)
    rig.run("--yes")
    look_at_it(rig)

    secrets = secrets_in_use(rig) | exchanged | {rig.studio.sign_in("https://vault.azure.net/")}
    assert set() == leaks(places(rig, caplog.text), secrets)


def test_no_secret_is_left_by_a_signature_that_is_not_accepted(
    everything: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ready-made version with a SAS of somebody else's: the service refuses it, and says so in its own words."""
    rig = everything
    rig.write("a", new=True)
    fleet = rig.home / "specs" / "fleet.yaml"
    base = part_of(rig.studio.secrets()["CONTOSO_STORAGE"], "BlobEndpoint")
    place = f"{{baseLocation: '{base}', relativeLocation: models/initial/breast-cancer.ilearner"
    version = f"  versions: {{'{LABEL}': {{location: {place}, sasToken: {{env: THEIR_SIGNATURE}}}}}}}}\n---\n"
    fleet.write_text(fleet.read_text().replace("---\n", version, 1))
    monkeypatch.setenv("THEIR_SIGNATURE", f"?sv=2022-11-02&sr=b&sp=r&se=2099-01-01T00%3A00%3A00Z&sig={WRONG_SIGNATURE}")

    rig.run("--yes", code=5)
    rig.run("--dry-run", "--output", "json")
    rig.run("history")
    rig.run("status")
    assert set() == leaks(places(rig, caplog.text), secrets_in_use(rig) | {WRONG_SIGNATURE})


ECHOES = [
    ("GET", "/webservices$", bare_echo, 1),
    ("POST", "/jobs$", echo, 1),
    ("PATCH", "/endpoints/", echo, 5),
    ("PATCH", "/webServices/BreastCancer$", echo, 5),
    ("PATCH", "/webServices/BreastCancer$", bare_echo, 5),
]


@pytest.mark.parametrize(("method", "path", "repeat", "code"), ECHOES)
def test_no_secret_is_left_by_a_service_that_repeats_what_it_was_sent(
    everything: Any, caplog: Any, method: str, path: str, repeat: Any, code: int
) -> None:
    rig = everything
    rig.write("a", new=True)

    def refusal(exchange: Any) -> dict[str, Any]:
        return {"error": {"code": "BadArgument", "message": f"Rejected: {repeat(exchange)}", "details": []}}

    rule = rig.proxy.reject(method, path, 400, refusal)

    done = rig.run("--yes", code=code)

    assert "Rejected: " in done.stdout
    rule.end()
    rig.run("history")
    rig.run("status", "--output", "json")
    assert set() == leaks(places(rig, caplog.text), secrets_in_use(rig))


def test_a_secret_that_was_written_into_a_spec_is_refused_and_not_repeated(rig: Any, caplog: Any) -> None:
    rig.write("a")
    specs = rig.home / "specs"
    token = rig.studio.secrets()["CONTOSO_WORKSPACE_TOKEN"]
    written = specs / "secret" / "contoso.yaml"
    written.parent.mkdir()
    shutil.move(specs / "contoso.yaml", written)
    written.write_text(written.read_text().replace("{env: CONTOSO_WORKSPACE_TOKEN}", token))

    rig.run("validate", code=1)
    rig.run("--dry-run", code=1)

    assert "a literal secret" in rig.outputs[1]
    assert set() == leaks(places(rig, caplog.text), secrets_in_use(rig))


@pytest.mark.parametrize("spell", range(8))
def test_the_search_finds_a_secret_in_every_spelling(spell: int) -> None:
    secret = "Zm9v/YmFyK2Jheg+cXV1eA/Y29ycmdl+Z3JhdWx0Zw=="
    spelled = list(variants(secret))[spell]

    assert {("x", secret)} == leaks({"x": f"in the{spelled}midst".encode()}, {secret, "another one of that length"})
    assert {("x", secret)} == leaks({"x": spelled[3:21].encode()}, {secret})


def test_the_search_finds_a_secret_wherever_one_may_be_left(rig: Any) -> None:
    """The searches above would be worth nothing if they looked in the wrong places, or for the wrong things."""
    rig.write("a")
    rig.run("--yes")
    secrets = secrets_in_use(rig)
    signature = re.findall(rb"sig=([^&\"]+)", rig.proxy.seen("PATCH", "/endpoints/")[0].body)[0].decode()
    key = rig.studio.endpoint(rig.endpoint_name("a"))["PrimaryKey"]
    assert {signature, key} < secrets

    (rig.store.parent / "state.db-wal").write_bytes(b"\0\1" + signature.encode())
    rig.outputs.append(f"told: {key}")

    found = leaks(places(rig, "logged: " + rig.studio.secrets()["AZURE_CLIENT_SECRET"]), secrets)
    assert {".reconciler/state.db-wal", "printed", "logged"} == {place for place, _ in found}
