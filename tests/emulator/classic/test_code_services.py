"""Web services that are published as code (classic-protocol 1.3), by requests such as two published clients send.

What those are: azureml's ``services.py`` (Python 2.7) and AzureML's ``publish.R``.
"""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ID = "5e1f0c9ad2b34c7f8a6b1d2e3f405162"
DASHED = "5E1F0C9A-D2B3-4C7F-8A6B-1D2E3F405162"
NUMBER = {"type": "number", "format": "double"}
INTEGER = {"type": "integer", "format": "int64"}
TEXT = {"type": "string", "format": "string"}
# What a client makes around a function of its user's.
SOURCE = """
import os
import pandas

def ratio(a, b):
    return a / b

def azureml_main(df1=None, df2=None):
    print("this is for the log")
    results = []
    for i in range(df1.shape[0]):
        results.append(ratio(df1["a"][i], df1["b"][i]))
    return pandas.DataFrame(results)
"""
HERE = {"interpreters": {"python-2.7-64": sys.executable}}


def published(source: str = SOURCE, *, name: str = "ratio", **bundle: Any) -> dict[str, Any]:
    content = {
        "InputSchema": {"a": NUMBER, "b": NUMBER},
        "OutputSchema": {"result": NUMBER},
        "Language": "python-2.7-64",
        "SourceCode": source,
        **bundle,
    }
    return {"Name": name, "Type": "Code", "CodeBundle": content}


def table(columns: list[str], *rows: list[Any]) -> dict[str, Any]:
    """As services.py sends it: every value is a text."""
    return {"Inputs": {"input1": {"ColumnNames": columns, "Values": list(rows)}}, "GlobalParameters": {}}


def files(**contents: str) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name.replace("_", "."), content)
    return base64.b64encode(data.getvalue()).decode()


async def publish(client: Any, body: dict[str, Any], service: str = ID) -> dict[str, Any]:
    """Publishes as services.py does: the service, then the endpoint that it names. Gives the endpoint."""
    reply = await client.manage("PUT", f"/{service}", body)
    assert reply.status in {200, 201}, reply.body
    endpoint = await client.manage("GET", f"/{service}/endpoints/{reply.body['DefaultEndpointName']}")
    assert endpoint.status == 200
    found: dict[str, Any] = endpoint.body
    return found


async def outputs(client: Any, endpoint: dict[str, Any]) -> list[str]:
    """The columns that an endpoint's document says it gives."""
    document = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    return list(document["definitions"]["output1Item"]["properties"])


def lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestPublishing:
    async def test_published_code_is_a_web_service_with_a_default_endpoint(self, client: Any) -> None:
        reply = await client.manage("PUT", f"/{DASHED}", published())
        assert reply.status == 201
        assert reply.body["Id"] == ID
        assert (reply.body["Name"], reply.body["DefaultEndpointName"], reply.body["EndpointCount"]) == (
            "ratio",
            "default",
            1,
        )
        assert (await client.manage("GET", f"/{ID}")).body == reply.body
        assert reply.body in (await client.manage("GET")).body
        (listed,) = (await client.manage("GET", f"/{ID}/endpoints")).body
        default = (await client.manage("GET", f"/{ID}/endpoints/default")).body
        assert default == listed
        assert default["ApiLocation"].startswith(client.url)
        assert default["PrimaryKey"] != default["SecondaryKey"]
        assert "Resources" not in default

    async def test_without_the_workspaces_token_nothing_is_published(self, client: Any) -> None:
        assert (await client.manage("PUT", f"/{ID}", published(), token="wrong")).status == 401
        assert (await client.manage("GET", f"/{ID}")).status == 404

    async def test_the_api_document_is_made_from_the_schemas_for_the_clients_that_read_it(self, client: Any) -> None:
        schema = {"a": {"type": "Boolean"}, "n": INTEGER, "t": "string"}
        endpoint = await publish(client, published(InputSchema=schema))
        document = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
        assert document["info"]["title"] == "ratio"
        definitions = document["definitions"]
        assert definitions["input1Item"]["properties"] == {
            "a": {"type": "boolean", "format": "boolean"},
            "n": INTEGER,
            "t": TEXT,
        }
        assert definitions["output1Item"]["properties"] == {"result": NUMBER}
        example = definitions["ExecutionRequest"]["example"]["Inputs"]
        assert example == {"input1": [{"a": True, "n": 1, "t": ""}]}
        # AzureML's discoverSchema takes the second path for the one to call.
        assert list(document["paths"])[1] == "/execute?api-version=2.0&format=swagger"
        assert "/jobs" in document["paths"]
        help_location = await client.send("GET", endpoint["HelpLocation"] + "/apidocument")
        by_name = await client.send(
            "GET", f"/workspaces/{endpoint['WorkspaceId']}/webservices/{ID}/endpoints/default/apidocument"
        )
        assert help_location.body == by_name.body == document

    async def test_an_update_keeps_id_keys_and_endpoints_and_default_follows_it(
        self, start_studio: Any, connect: Any
    ) -> None:
        client = connect(start_studio(timings={"patchTakesEffect": "0s"}, behaviour={"modelVersion": "fixed"}))
        before = await publish(client, published())
        added = (await client.manage("PUT", f"/{ID}/endpoints/added", {})).body
        # AzureML's updateWebService sends no name.
        reply = await client.manage("PUT", f"/{ID}", published(name="", OutputSchema={"other": NUMBER}))
        assert (reply.status, reply.body["Id"], reply.body["Name"]) == (200, ID, "ratio")
        assert reply.body["EndpointCount"] == 2
        after = (await client.manage("GET", f"/{ID}/endpoints/default")).body
        assert after.pop("Version") > before.pop("Version")
        assert after == before
        assert await outputs(client, after) == ["other"]
        assert await outputs(client, added) == ["result"]
        refresh = f"/{ID}/endpoints/added/refresh"
        assert (await client.manage("POST", refresh, {})).status == 200
        assert await outputs(client, added) == ["other"]
        assert (await client.manage("POST", refresh, {"OverwriteResources": "True"})).status == 304

    async def test_an_update_takes_effect_after_its_time(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(timings={"patchTakesEffect": "1h"}))
        endpoint = await publish(client, published())
        await publish(client, published(OutputSchema={"other": NUMBER}))
        assert await outputs(client, endpoint) == ["result"]

    async def test_endpoints_can_be_added_and_none_has_a_resource_to_patch(self, client: Any) -> None:
        default = await publish(client, published())
        added = await client.manage("PUT", f"/{ID}/endpoints/added", {"ThrottleLevel": "High"})
        assert added.status == 201
        assert added.body["ApiLocation"] != default["ApiLocation"]
        assert "Resources" not in added.body
        model = {"Name": "any", "Location": client.signed("initial/breast-cancer.ilearner")}
        refused = await client.manage("PATCH", f"/{ID}/endpoints/added", {"Resources": [model]})
        assert (refused.status, refused.code) == (400, "InvalidOperation")
        assert "no updatable resources" in refused.body["error"]["message"]
        assert (await client.manage("PATCH", f"/{ID}/endpoints/added", {"Description": "mine"})).status == 200
        assert (await client.manage("GET", f"/{ID}/endpoints/added")).body["Description"] == "mine"

    async def test_a_deleted_code_service_is_gone_with_all_that_it_was(self, client: Any) -> None:
        bundles = client.context.documents.collection("code-bundles")
        endpoint = await publish(client, published())
        await publish(client, published(SOURCE + "# another\n"), "f" * 32)
        assert len(bundles) == 2
        assert (await client.manage("DELETE", f"/{ID}")).status == 204
        assert (await client.manage("GET", f"/{ID}")).status == 404
        assert (await client.call(endpoint, "POST", "/execute", table(["a", "b"]))).status == 404
        assert len(bundles) == 1

    async def test_a_bundle_that_nothing_runs_any_more_is_forgotten(self, client: Any) -> None:
        bundles = client.context.documents.collection("code-bundles")
        await publish(client, published())
        for number in range(3):
            await publish(client, published(SOURCE + f"# {number}\n"))
        # The one that runs, and the one before it, from which an update takes a moment to take over.
        assert len(bundles) <= 2

    async def test_the_page_tells_it_from_a_training_service(self, client: Any) -> None:
        await publish(client, published(name="told apart"))
        state = (await client.send("GET", "/_studio/state")).body
        assert [row["name"] for row in state["services"]["rows"] if row["code"]] == ["told apart"]
        assert [row["service"] for row in state["endpoints"]["rows"] if row["code"]] == ["told apart"]

    async def test_it_outlives_a_restart(
        self, studio_thread: Any, first_state: Path, tmp_path: Path, connect: Any
    ) -> None:
        shutil.copytree(first_state, tmp_path / "state")
        with studio_thread.studio(state=tmp_path / "state") as studio:
            before = await publish(connect(studio), published())
            where = studio.url
        with studio_thread.studio(state=tmp_path / "state") as studio:
            client = connect(studio)
            after = (await client.manage("GET", f"/{ID}/endpoints/default")).body
            assert after["PrimaryKey"] == before["PrimaryKey"]
            assert after["ApiLocation"].removeprefix(studio.url) == before["ApiLocation"].removeprefix(where)
            assert await outputs(client, after) == ["result"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({**published(), "Type": "Experiment"}, "WebServiceTypeInvalid"),
            ({"Name": "mine", "Type": "Code"}, "MissingWebServicePackage"),
            (published(name=""), "BadArgument"),
            (published(Language="cobol-85"), "RuntimesError"),
            (published(""), "FormatError"),
            (published(ZipContents="bm8gemlw"), "FormatError"),
            (published(ZipContents="%%%"), "FormatError"),
            (published(InputSchema=None), "ValidationError"),
            (published(InputSchema={"a": {"type": "complex"}}), "ValidationError"),
            (published(OutputSchema={}), "ValidationError"),
            ("not JSON", "RequestBodyInvalid"),
        ],
    )
    async def test_a_body_that_is_wrong_is_refused_with_its_code(self, client: Any, body: Any, code: str) -> None:
        reply = await client.manage("PUT", f"/{ID}", body)
        assert (reply.status, reply.code) == (400, code)
        assert reply.body["error"].keys() == {"code", "message"}
        assert (await client.manage("GET", f"/{ID}")).status == 404

    async def test_an_id_is_a_guid_of_this_workspaces_own(self, client: Any, start_studio: Any, connect: Any) -> None:
        reply = await client.manage("PUT", "/ratio", published())
        assert (reply.status, reply.code) == (400, "WebServiceIdInvalid")
        deployed = await client.service_id("Breast Cancer [predictive exp.]")
        reply = await client.manage("PUT", f"/{deployed}", published())
        assert (reply.status, reply.code) == (400, "WebServiceTypeInvalid")

        (workspace,) = client.context.studio.workspaces
        other = {"id": "0" * 32, "name": "other", "storageAccount": "contosostore"}
        both = [workspace.model_dump(mode="json", by_alias=True), other]
        client = connect(start_studio(workspaces=both))
        token = client.context.secrets.workspace_token("0" * 32)
        reply = await client.send("PUT", f"/workspaces/{'0' * 32}/webservices/{deployed}", published(), token=token)
        assert (reply.status, reply.code) == (409, "Conflict")


class TestRunning:
    @pytest.mark.parametrize(
        ("language", "code", "detail", "target"),
        [
            ("python-2.7-64", "ModuleExecutionError", "85", "Execute Python Script RRS"),
            ("R-3.1-64", "LibraryExecutionError", "FailedToEvaluateRScript", "Execute R Script Piped (RPackage)"),
        ],
    )
    async def test_code_that_nothing_here_runs_answers_as_a_module_that_failed_and_says_why(
        self, client: Any, language: str, code: str, detail: str, target: str
    ) -> None:
        endpoint = await publish(client, published(Language=language))
        reply = await client.call(endpoint, "POST", "/execute", table(["a", "b"], ["1", "2"]))
        assert reply.status == 400
        error = reply.body["error"]
        (details,) = error["details"]
        assert (error["code"], details["code"], details["target"]) == (code, detail, target)
        assert language in details["message"]
        job = await client.run_job(
            endpoint, {"Inputs": {"input1": client.stored("datasets/diabetes-2026-09.csv")}, "GlobalParameters": {}}
        )
        assert job["StatusCode"] == "Failed"

    async def test_python_runs_by_the_command_that_the_studio_file_names(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(codeServices=HERE))
        endpoint = await publish(client, published())
        # As services.py calls it, and then as AzureML's consume does.
        reply = await client.call(endpoint, "POST", "/execute", table(["b", "a"], ["5.0", "3.0"], ["4", "1"]))
        assert reply.status == 200, reply.body
        value = reply.body["Results"]["output1"]["value"]
        assert value == {"ColumnNames": ["result"], "Values": [["0.6"], ["0.25"]]}
        rows = {"Inputs": {"input1": [{"a": 1, "b": 8}]}, "GlobalParameters": {}}
        reply = await client.call(endpoint, "POST", "/execute", rows, details="true", format="swagger")
        assert reply.body["Results"]["output1"] == [{"result": "0.125"}]

    async def test_what_it_is_given_has_the_types_of_the_schema_and_the_files_of_the_bundle(
        self, start_studio: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_SECRET_OF_THE_EMULATOR", "s3cret")
        client = connect(start_studio(codeServices=HERE))
        source = (
            "import os, pandas, beside\n"
            "def azureml_main(df1, df2=None):\n"
            "    told = [str(kind) for kind in df1.dtypes] + [beside.WORD, open('Script Bundle/note.txt').read()]\n"
            "    told += sorted(set(os.environ) & {'A_SECRET_OF_THE_EMULATOR'})\n"
            "    return pandas.DataFrame({'flag': df1['flag'], 'told': [' '.join(told)] * len(df1), 'more': 1})\n"
        )
        schema = {"n": INTEGER, "x": NUMBER, "flag": {"type": "Boolean"}, "text": TEXT}
        body = published(
            source,
            InputSchema=schema,
            OutputSchema={"told": TEXT, "flag": {"type": "Boolean"}},
            ZipContents=files(beside_py="WORD = 'module'", note_txt="note"),
        )
        endpoint = await publish(client, body)
        request = table(["n", "x", "flag", "text"], ["1", "2", "true", "NA"], ["3", "4.5", "false", "ü"])
        reply = await client.call(endpoint, "POST", "/execute", request, details="true")
        assert reply.status == 200, reply.body
        value = reply.body["Results"]["output1"]["value"]
        assert value["ColumnTypes"] == ["String", "Boolean"]
        # Python 2's bool as the service's clients know it.
        assert [row[1] for row in value["Values"]] == ["True", "False"]
        kinds = value["Values"][0][0].split()
        assert (kinds[:3], kinds[-2:]) == (["int64", "float64", "bool"], ["module", "note"])

        for columns, row, code in (
            (["n", "x", "flag"], ["1", "2", "true"], "InputMismatchError"),
            (["n", "x", "flag", "text", "z"], ["1", "2", "true", "", ""], "InputMismatchError"),
            (["n", "x", "flag", "text"], ["one", "2", "true", ""], "InputParseError"),
        ):
            reply = await client.call(endpoint, "POST", "/execute", table(columns, row))
            assert (reply.status, reply.code) == (400, code)

    async def test_what_it_raises_comes_back_with_its_traceback(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(codeServices=HERE))
        endpoint = await publish(client, published("def azureml_main(df1, df2=None):\n    return 1 / 0\n"))
        reply = await client.call(endpoint, "POST", "/execute", table(["a", "b"], ["1", "2"]))
        assert (reply.status, reply.body["error"]["code"]) == (400, "ModuleExecutionError")
        message = reply.body["error"]["details"][0]["message"]
        assert message.startswith("Error 0085: ")
        assert "script.py" in message
        assert "return 1 / 0" in message
        assert "ZeroDivisionError" in message
        assert "python_script" not in message

    async def test_a_batch_job_runs_it_on_a_blob(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(codeServices=HERE))
        endpoint = await publish(client, published())
        await client.upload("datasets/mine.csv", b"a,b\n1,2\n3,4\n")
        request = {
            "Inputs": {"input1": client.stored("datasets/mine.csv")},
            "Outputs": {"output1": client.stored("datasets/ratios.csv")},
            "GlobalParameters": {},
        }
        job = await client.run_job(endpoint, request)
        assert job["StatusCode"] == "Finished", job
        assert await client.download("datasets/ratios.csv") == b"result\n0.5\n0.75\n"

    async def test_code_that_takes_too_much_is_ended(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(codeServices={**HERE, "memoryMegabytes": 1024}))
        endpoint = await publish(client, published("def azureml_main(df1):\n    return bytearray(2 << 30)\n"))
        reply = await client.call(endpoint, "POST", "/execute", table(["a", "b"], ["1", "2"]))
        assert (reply.status, reply.code) == (413, "OutOfMemoryLimit")

    async def test_code_that_takes_too_long_is_ended_with_all_that_it_started(
        self, start_studio: Any, connect: Any, tmp_path: Path
    ) -> None:
        mark = tmp_path / "pids"
        # The time limit leaves a loaded machine enough to start a shell.
        slow = {"interpreters": {"python-2.7-64": ["sh", "-c", f"sleep 600 & echo $$ $! > {mark}; wait"]}}
        client = connect(start_studio(codeServices=slow, timings={"scoreTimeout": "2s"}))
        endpoint = await publish(client, published())
        reply = await client.call(endpoint, "POST", "/execute", table(["a", "b"], ["1", "2"]))
        assert (reply.status, reply.code) == (408, "ScoreRequestTimeout")
        async with asyncio.timeout(20):
            while any(lives(pid) for pid in mark.read_text().split()):  # noqa: ASYNC110 - a kill is no event here
                await asyncio.sleep(0.005)

    @pytest.mark.parametrize(
        ("command", "reason"),
        [(["false"], "The interpreter ended with 1"), (["/nowhere/python"], "/nowhere/python cannot be started")],
    )
    async def test_a_command_that_does_not_work_is_named(
        self, start_studio: Any, connect: Any, command: list[str], reason: str
    ) -> None:
        client = connect(start_studio(codeServices={"interpreters": {"python-2.7-64": command}}))
        endpoint = await publish(client, published())
        reply = await client.call(endpoint, "POST", "/execute", table(["a", "b"], ["1", "2"]))
        assert (reply.status, reply.body["error"]["code"]) == (400, "ModuleExecutionError")
        assert reason in reply.body["error"]["details"][0]["message"]

    def test_a_command_for_another_language_than_python_is_a_mistake_of_the_file(self, start_studio: Any) -> None:
        with pytest.raises(ValueError, match="only Python can be run"):
            start_studio(codeServices={"interpreters": {"R-3.1-64": "Rscript"}})
