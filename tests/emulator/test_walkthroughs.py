"""Microsoft's two retraining walkthroughs step by step, with nothing but `requests` and what the emulator hands out.

Whoever wonders how the wire protocol goes can read these two tests from top to bottom.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import shlex
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
EXECUTION_VERSION = {"api-version": "2.0"}
ARM_VERSION = {"api-version": "2017-01-01"}
STILL_GOING = {"NotStarted", "Running"}


class Bearer(AuthBase):
    """A key or token as every part of the service wants it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of this machine has no part in it
        yield session


@pytest.fixture
def secrets(studio: Any) -> dict[str, str]:
    """What the env file says: the emulator writes it for its clients."""
    lines = Path(studio.env_file).read_text("utf-8").splitlines()
    return {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}


def done(reply: requests.Response) -> Any:
    assert reply.ok, reply.text
    return reply.json() if reply.content else None


def upload(http: requests.Session, connection_string: str, blob: str, content: bytes) -> None:
    """Put Blob, signed with the account's key."""
    account = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    path = f"/{account['AccountName']}/{blob}"
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    signed = ["PUT", "", "", str(len(content)), "", "text/csv", "", "", "", "", "", ""]
    signed += [f"{name}:{value}" for name, value in sorted(headers.items())]
    # The account's name comes twice: once for the account, and once in the path of an address without a host name.
    signed += [f"/{account['AccountName']}{path}"]
    key = base64.b64decode(account["AccountKey"])
    signature = base64.b64encode(hmac.digest(key, "\n".join(signed).encode(), hashlib.sha256)).decode()
    headers |= {"Content-Type": "text/csv", "Authorization": f"SharedKey {account['AccountName']}:{signature}"}
    done(http.put(f"{account['BlobEndpoint'].rstrip('/')}/{blob}", data=content, headers=headers))


def november() -> bytes:
    """A month's data, as they lie on somebody's disk."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - slow to import, and only needed here

    data = load_breast_cancer()
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([*data.feature_names, "diagnosis"])
    rows.writerows([*row, data.target_names[label]] for row, label in zip(data.data, data.target, strict=True))
    return text.getvalue().encode()


def retrain(http: requests.Session, url: str, secrets: dict[str, str], run: str) -> dict[str, dict[str, str]]:
    """Context 4.1, steps 5 to 7: runs the training service's batch job; where its outputs are."""
    services = done(
        http.get(f"{url}/workspaces/{WORKSPACE}/webservices", auth=Bearer(secrets["CONTOSO_WORKSPACE_TOKEN"]))
    )
    (service,) = [each for each in services if each["Name"] == TRAINING]
    endpoint = done(
        http.get(
            f"{url}/workspaces/{WORKSPACE}/webservices/{service['Id']}/endpoints/{service['DefaultEndpointName']}",
            auth=Bearer(secrets["CONTOSO_WORKSPACE_TOKEN"]),
        )
    )
    storage, key = secrets["CONTOSO_STORAGE"], Bearer(endpoint["PrimaryKey"])
    upload(http, storage, f"datasets/{run}.csv", november())
    job = {
        "Inputs": {"input1": {"ConnectionString": storage, "RelativeLocation": f"datasets/{run}.csv"}},
        "Outputs": {
            "output1": {"ConnectionString": storage, "RelativeLocation": f"models/{run}/output1results.ilearner"},
            "output2": {"ConnectionString": storage, "RelativeLocation": f"models/{run}/output2results.csv"},
        },
        "GlobalParameters": {},
    }
    jobs = f"{endpoint['ApiLocation']}/jobs"
    job_id = done(http.post(jobs, params=EXECUTION_VERSION, json=job, auth=key))
    done(http.post(f"{jobs}/{job_id}/start", params=EXECUTION_VERSION, auth=key))
    while (status := done(http.get(f"{jobs}/{job_id}", params=EXECUTION_VERSION, auth=key)))[
        "StatusCode"
    ] in STILL_GOING:
        time.sleep(0.05)
    assert status["StatusCode"] == "Finished", status
    results: dict[str, dict[str, str]] = status["Results"]
    # The three values of output2, joined, open in a browser; a human decides by the metrics.
    evaluation = http.get(
        "".join(results["output2"][part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
    )
    (metrics,) = csv.DictReader(io.StringIO(evaluation.text))
    assert float(metrics["AUC"]) > 0.95
    return results


def predict(http: requests.Session, base: str, key: str) -> Any:
    """Scores the example of the service's own API document."""
    swagger = done(http.get(f"{base}/swagger.json"))
    rows = swagger["definitions"]["ExecutionRequest"]["example"]
    query = {**EXECUTION_VERSION, "format": "swagger"}
    return done(http.post(f"{base}/execute", params=query, json=rows, auth=Bearer(key)))["Results"]["output1"]


def test_the_classic_walkthrough_ends_with_another_prediction(
    studio: Any, http: requests.Session, secrets: dict[str, str]
) -> None:
    """Context 4.1 and 4.2."""
    token = Bearer(secrets["CONTOSO_WORKSPACE_TOKEN"])
    model = retrain(http, studio.url, secrets, "classic-walkthrough")["output1"]

    # 4.2, step 1: the default endpoint cannot be replaced, so the predictive service gets another one.
    services = done(http.get(f"{studio.url}/workspaces/{WORKSPACE}/webservices", auth=token))
    (service,) = [each for each in services if each["Name"] == PREDICTIVE]
    address = f"{studio.url}/workspaces/{WORKSPACE}/webservices/{service['Id']}/endpoints/newendpoint2"
    endpoint = done(http.put(address, json={"Description": "retrained", "ThrottleLevel": "Low"}, auth=token))
    before = predict(http, endpoint["ApiLocation"], endpoint["PrimaryKey"])

    # Steps 2 and 3: its own key reads which resource can be updated, at the address that is patched as well.
    key = Bearer(endpoint["PrimaryKey"])
    (resource,) = done(http.get(address, auth=key))["Resources"]
    assert resource["Name"] == "Breast Cancer [trained model]"

    # Step 4: the three values of output1 are the new location. (Step 5 is the wait, of no time in these tests.)
    patch = {"Resources": [{"Name": resource["Name"], "Location": model}]}
    done(http.patch(address, json=patch, auth=key))
    assert predict(http, endpoint["ApiLocation"], endpoint["PrimaryKey"]) != before


def test_the_new_walkthrough_ends_with_another_prediction(
    studio: Any, http: requests.Session, secrets: dict[str, str]
) -> None:
    """Context 4.3."""
    model = retrain(http, studio.url, secrets, "new-walkthrough")["output1"]

    # Step 1: sign in.
    form = {
        "grant_type": "client_credentials",
        "client_id": secrets["AZURE_CLIENT_ID"],
        "client_secret": secrets["AZURE_CLIENT_SECRET"],
        "scope": "https://management.azure.com/.default",
    }
    signed_in = done(http.post(f"{studio.url}/{secrets['AZURE_TENANT_ID']}/oauth2/v2.0/token", data=form))
    token = Bearer(signed_in["access_token"])

    # Step 2: the definition of the predictive service, which the list of its subscription names.
    provider = f"{studio.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/webServices"
    listed = done(http.get(provider, params=ARM_VERSION, auth=token))["value"]
    (resource_id,) = [each["id"] for each in listed if each["name"] == "BreastCancer"]
    service = f"{studio.url}{resource_id}"
    definition = done(http.get(service, params=ARM_VERSION, auth=token))
    key = done(http.get(f"{service}/listKeys", params=ARM_VERSION, auth=token))["primary"]
    base = definition["properties"]["swaggerLocation"].removesuffix("/swagger.json")
    before = predict(http, base, key)

    # Steps 3 to 5, export, edit and import: the trained model's uri becomes BaseLocation + RelativeLocation.
    assets = definition["properties"]["assets"]
    (asset,) = [
        each for each in assets.values() if each["type"] == "Resource" and each["name"].endswith("[trained model]")
    ]
    asset["locationInfo"] = {"uri": model["BaseLocation"] + model["RelativeLocation"]}

    # Step 6: the update, which is done when its operation has succeeded; a 200 alone proves nothing.
    update = {"properties": {"packageType": "Graph", "assets": assets}}
    accepted = http.patch(service, params=ARM_VERSION, json=update, auth=token)
    assert accepted.status_code == 200, accepted.text
    while (poll := done(http.get(accepted.headers["Azure-AsyncOperation"], auth=token)))["status"] == "Provisioning":
        time.sleep(0.05)
    assert poll["status"] == "Succeeded", poll
    uris = [
        each["locationInfo"]["uri"]
        for each in done(http.get(service, params=ARM_VERSION, auth=token))["properties"]["assets"].values()
    ]
    assert model["BaseLocation"] + model["RelativeLocation"] in uris
    assert predict(http, base, key) != before
