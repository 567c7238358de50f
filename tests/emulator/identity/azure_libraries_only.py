"""A day in the life of a New web service, with Microsoft's libraries and none of this project's code.

    python azure_libraries_only.py CLOUD_FILE

Signs in over TLS; lists, gets, patches and deletes a web service; and reads an .ilearner by its SAS. It prints one line
a step. The cloud file and the env file that it names are what `reconcile emulator` writes.
"""

import json
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.storage.blob import BlobClient, BlobSasPermissions, BlobServiceClient, generate_blob_sas

VERSION = "2017-01-01"
cloud_file = Path(sys.argv[1])
cloud = json.loads(cloud_file.read_text("utf-8"))
lines = (cloud_file.parent / cloud["envFile"]).read_text("utf-8").splitlines()
environ = {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}
trust = str(cloud_file.parent / cloud["caFile"])


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


sign_in = cloud["signIn"]
credential = ClientSecretCredential(
    sign_in["tenantId"],
    environ[sign_in["clientId"]["env"]],
    environ[sign_in["clientSecret"]["env"]],
    authority=sign_in["authority"],
    disable_instance_discovery=True,
    connection_verify=trust,
)
manager = ResourceManagementClient(
    credential,
    "",
    base_url=cloud["resourceManagerUrl"],
    credential_scopes=[cloud["audience"] + "/.default"],
    connection_verify=trust,
    polling_interval=cloud["pollSeconds"],
)


def values(path: str, version: str) -> list[dict[str, str]]:
    reply = manager.send_request(HttpRequest("GET", f"{{endpoint}}{path}?api-version={version}"))
    reply.raise_for_status()
    found: list[dict[str, str]] = reply.json()["value"]
    return found


with credential, manager, BlobServiceClient.from_connection_string(environ["CONTOSO_STORAGE"]) as storage:
    # List.
    (subscription,) = [each["id"] for each in values("/subscriptions", "2022-12-01")]
    services = values(f"{subscription}/providers/Microsoft.MachineLearning/webServices", VERSION)
    say("listed", *(service["name"] for service in services))

    # Get: the definition, and in it the blob of its trained model.
    service = services[0]["id"]
    assets = manager.resources.get_by_id(service, api_version=VERSION)["properties"]["assets"]
    ((key, asset),) = [(key, asset) for key, asset in assets.items() if asset["type"] == "Resource"]
    uri = asset["locationInfo"]["uri"]
    say("got", asset["name"])

    # Read the model by its SAS. With the signature taken off, nobody reads it.
    account = storage.account_name
    container, _, name = uri.partition(f"/{account}/")[2].partition("/")
    signature = generate_blob_sas(
        account,
        container,
        name,
        account_key=storage.credential.account_key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(minutes=5),
    )
    with BlobClient.from_blob_url(f"{uri}?{signature}") as blob:
        model = blob.download_blob().readall()
    say("read", len(model), "bytes of", name)
    with BlobClient.from_blob_url(uri) as blob:
        try:
            blob.download_blob()
        except HttpResponseError as error:
            say("without its SAS: refused with", error.status_code)

    # Patch: the same model under another name, so that it can be told where the service has it from.
    copy = storage.get_blob_client(container, f"copy of {name}")
    copy.upload_blob(model)
    new_uri = uri.removesuffix(name) + f"copy of {name}"
    assets[key] = {**asset, "locationInfo": {"uri": new_uri}}
    body = {"properties": {"packageType": "Graph", "assets": assets}}
    manager.resources.begin_update_by_id(service, body, api_version=VERSION).result()
    live = manager.resources.get_by_id(service, api_version=VERSION)["properties"]["assets"][key]
    say("patched", live["locationInfo"]["uri"] == new_uri)

    # Delete.
    manager.resources.begin_delete_by_id(service, api_version=VERSION).result()
    try:
        manager.resources.get_by_id(service, api_version=VERSION)
    except ResourceNotFoundError as error:
        say("deleted", error.error.details[0].code)

say("of our own:", *[module for module in sys.modules if module.startswith("reconciler")])
