"""The page at ``/`` and the state that it is drawn from."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.emulator.control.page_state import without_secrets

TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def state_of(client: Any, **query: str) -> Any:
    reply = await client.send("GET", "/_studio/state", **query)
    assert reply.status == 200, reply.body
    return reply.body


async def shown_endpoint(client: Any, name: str = "clinica") -> Any:
    (row,) = [row for row in (await state_of(client))["endpoints"]["rows"] if row["name"] == name]
    return row


async def retrain(client: Any, run: str = "retrained") -> Any:
    job = {
        "Inputs": {"input1": client.stored("datasets/breast-cancer-2026-11.csv")},
        "Outputs": {"output1": client.stored(f"models/{run}.ilearner")},
    }
    return (await client.run_job(await client.endpoint(TRAINING, "default"), job))["Results"]["output1"]


async def patch(client: Any, location: Any, endpoint: str = "clinica") -> None:
    body = {"Resources": [{"Name": MODEL, "Location": location}]}
    reply = await client.manage("PATCH", f"/{await client.service_id(PREDICTIVE)}/endpoints/{endpoint}", body)
    assert reply.status == 200, reply.body


class TestTheState:
    async def test_it_tells_what_there_is(self, client: Any) -> None:
        state = await state_of(client)
        assert [workspace["name"] for workspace in state["workspaces"]] == ["contoso"]
        assert {row["name"] for row in state["services"]["rows"]} >= {TRAINING, PREDICTIVE}
        assert state["endpoints"]["total"] == len(state["endpoints"]["rows"]) == 7
        service, trainer = state["webServices"]["rows"]
        assert (trainer["name"], trainer["models"]) == ("BreastCancerTraining", [])
        assert (service["name"], service["group"], service["state"]) == ("BreastCancer", "contoso-ml", "Succeeded")
        assert service["models"][0]["location"].endswith("/contosostore/models/initial/breast-cancer.ilearner")
        (training,) = [row for row in state["services"]["rows"] if row["name"] == TRAINING]
        assert training["resource"] is None

    async def test_a_retraining_is_seen_from_its_job_to_the_endpoint(self, start_studio: Any, connect: Any) -> None:
        """Until the patch takes effect the endpoint shows both models, and afterwards since when it has the new one."""
        clock = Clock()
        client = connect(start_studio(clock=clock, timings={"patchTakesEffect": "30s"}))
        first = (await shown_endpoint(client))["model"]
        patched_at = clock.now = clock.now + timedelta(minutes=5)
        location = await retrain(client)
        await patch(client, location)
        place = location["BaseLocation"] + location["RelativeLocation"]

        waiting = (await shown_endpoint(client))["model"]
        takes_effect = (patched_at + timedelta(seconds=30)).isoformat()
        assert {**first, "next": waiting["next"]} == waiting
        assert (waiting["next"]["location"], waiting["next"]["since"]) == (place, takes_effect)

        clock.now += timedelta(seconds=30)
        bound = (await shown_endpoint(client))["model"]
        assert bound == waiting["next"]
        assert bound["digest"] != first["digest"]
        state = await state_of(client)
        # Among 10,000 endpoints nobody would find it if it were not the first.
        assert state["endpoints"]["rows"][0]["name"] == "clinica"
        assert state["jobs"]["states"] == {"Finished": 1}
        assert state["jobs"]["rows"][0]["outputs"]["output1"] == "models/retrained.ilearner"
        operations = [row["operation"] for row in state["requests"]["rows"]]
        assert {"management.patchEndpoint", "batch.start"} <= set(operations)

    async def test_a_search_goes_through_everything_and_counts_what_it_does_not_show(self, client: Any) -> None:
        service = await client.service_id(PREDICTIVE)
        for number in range(12):
            await client.manage("PUT", f"/{service}/endpoints/rental{number:03}", {"Description": "Bike RENTAL"})
        endpoints = (await state_of(client, search="bike predictive", limit="5"))["endpoints"]
        assert (endpoints["total"], endpoints["matching"], len(endpoints["rows"])) == (19, 12, 5)
        found = await state_of(client, search="rental007")
        assert [row["name"] for row in found["endpoints"]["rows"]] == ["rental007"]
        assert [row["method"] for row in found["requests"]["rows"]] == ["PUT"]
        digest = (await shown_endpoint(client))["model"]["digest"]
        assert (await state_of(client, search=digest))["endpoints"]["matching"] >= 13
        assert (await state_of(client, search="no such thing"))["endpoints"] == {"total": 19, "matching": 0, "rows": []}

    @pytest.mark.parametrize("query", [{"limit": "all"}, {"limit": "1001"}, {"limit": "-1"}, {"search": "x" * 201}])
    async def test_what_it_cannot_answer_is_refused(self, client: Any, query: dict[str, str]) -> None:
        reply = await client.send("GET", "/_studio/state", **query)
        assert (reply.status, reply.code) == (400, "InvalidQueryParameter")

    async def test_looking_at_the_page_leaves_no_trace(self, client: Any) -> None:
        """A test that counts requests must not count a browser that somebody left open."""
        before = (await state_of(client))["requests"]["total"]
        assert (await client.send("GET", "/")).status == 200
        assert (await state_of(client))["requests"]["total"] == before


class TestSecrets:
    async def test_no_secret_is_in_it_and_none_can_be_searched_for(self, client: Any) -> None:
        location = await retrain(client)
        await patch(client, location)
        endpoint = await client.endpoint()
        new = await client.new_service()
        await client.call(endpoint, "GET", "/swagger.json", key=endpoint["SecondaryKey"])
        secrets = [
            client.token,
            client.context.secrets.client_secret(),
            client.context.secrets.storage_key("contosostore"),
            endpoint["PrimaryKey"],
            endpoint["SecondaryKey"],
            new["PrimaryKey"],
            location["SasBlobToken"],
            re.search(r"sig=([^&]+)", location["SasBlobToken"])[1],  # type: ignore[index]
        ]
        shown = str(await state_of(client, limit="1000")) + str((await client.send("GET", "/")).body)
        for secret in secrets:
            assert secret not in shown
            found = await state_of(client, search=secret[:100])
            assert 0 == sum(found[name]["matching"] for name in ("services", "endpoints", "webServices", "jobs"))

    @pytest.mark.parametrize(
        ("place", "shown"),
        [
            ("https://x.example/models/a.ilearner?sv=1&sig=s3cret", "https://x.example/models/a.ilearner"),
            ("https://me:s3cret@x.example:444/a#s3cret", "https://x.example:444/a"),
            ("models/a.ilearner?sig=s3cret", "models/a.ilearner"),
            ("https://x.example:s3cret/", "(not a URL)"),
            ("http://[s3cret", "(not a URL)"),
            ("", ""),
        ],
    )
    def test_of_a_place_neither_query_nor_password_is_shown(self, place: str, shown: str) -> None:
        assert without_secrets(place) == shown

    async def test_a_signature_in_the_uri_of_a_new_services_model_is_left_out(self, client: Any) -> None:
        services = client.context.documents.collection("webServices")
        key, document = next(iter(services.items()))
        models = {name: {**model, "uri": model["uri"] + "?sig=s3cret"} for name, model in document["models"].items()}
        services[key] = {**document, "models": models}
        shown = (await state_of(client))["webServices"]["rows"]
        assert shown[0]["models"][0]["location"].endswith("breast-cancer.ilearner")
        assert (await state_of(client, search="s3cret"))["webServices"]["matching"] == 0


class TestTheDocument:
    async def test_it_loads_nothing_and_runs_no_script_but_its_own(self, client: Any) -> None:
        reply = await client.send("GET", "/")
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert not re.search(r"(?:src|href)=\"(?!data:,)|//[a-z]|@import|url\(", reply.body)
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        for element in ("style", "script"):
            (text,) = re.findall(rf"<{element}>(.*?)</{element}>", reply.body, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{element}-src 'sha256-{digest}'" in policy

    async def test_names_are_never_markup(self, client: Any) -> None:
        """The document holds no name, its script makes text nodes alone, and the state is no document."""
        await client.manage(
            "PUT", f"/{await client.service_id(PREDICTIVE)}/endpoints/hostile", {"Description": HOSTILE}
        )
        page = (await client.send("GET", "/")).body
        assert "onerror" not in page
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", page)
        reply = await client.send("GET", "/_studio/state")
        assert (await shown_endpoint(client, "hostile"))["description"] == HOSTILE
        assert reply.headers["Content-Type"].startswith("application/json")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("path", ["/", "/_studio/state"])
    @pytest.mark.parametrize(
        "headers",
        [{"Host": "studio.example"}, {"Origin": "https://studio.example"}, {"Sec-Fetch-Site": "cross-site"}],
        ids=str,
    )
    async def test_another_sites_page_does_not_get_it(self, client: Any, path: str, headers: dict[str, str]) -> None:
        async with client.session.get(client.url + path, headers=headers) as reply:
            assert reply.status == 403
            assert "contoso" not in await reply.text()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at the page with")
async def test_a_browser_shows_a_retraining_and_hostile_names_as_text(client: Any, tmp_path: Path) -> None:
    service = await client.service_id(PREDICTIVE)
    await client.manage("PUT", f"/{service}/endpoints/hostile", {"Description": HOSTILE})
    await patch(client, await retrain(client), "hostile")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=3000 --dump-dom"
    )
    command = [str(CHROMIUM), *options.split(), f"--user-data-dir={tmp_path / 'profile'}", client.url + "/"]
    shown = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=True)
    assert "<title>Studio (classic) emulator</title>" in shown.stdout
    assert 'role="status" class="">live<' in shown.stdout
    assert "&lt;img src=x onerror=" in shown.stdout
    assert "<img" not in shown.stdout
    assert "/contosostore/models/retrained.ilearner" in shown.stdout
    assert '<span class="pill good">Finished</span>' in shown.stdout
