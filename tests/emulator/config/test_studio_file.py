"""The studio file: what it may say, and what is said about its mistakes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.config.profiles import has_profiles
from reconciler.emulator.config.studio_file import StudioFileError, derived_id, load_studio

SMALL: dict[str, Any] = {
    "storageAccounts": [{"name": "store"}],
    "datasets": [
        {
            "name": "flowers",
            "source": {"file": "flowers.csv"},
            "blob": {"account": "store", "container": "data", "blob": "f.csv"},
        }
    ],
    "experiments": [
        {
            "name": "train",
            "kind": "training",
            "learner": "Multiclass Logistic Regression",
            "label": "kind",
            "input": {"webService": "input1"},
            "exampleData": "flowers",
        },
        {
            "name": "score",
            "kind": "predictive",
            "trainedModel": "Flowers [trained model]",
            "initialModel": {
                "trainedBy": "train",
                "dataset": "flowers",
                "blob": {"account": "store", "container": "models", "blob": "initial.ilearner"},
            },
        },
    ],
    "workspaces": [
        {
            "id": "A" * 32,
            "name": "own",
            "storageAccount": "store",
            "services": [{"name": "same", "experiment": "score"}, {"name": "same", "experiment": "train"}],
        }
    ],
    "principal": {
        "tenantId": "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21",
        "clientId": "b7c9e2d0-5f38-4d7a-8f0c-1e2d3c4b5a69",
    },
}


def written(directory: Path, **changes: Any) -> Path:
    path = directory / "studio.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}), "utf-8")
    return path


def test_the_default_studio_has_the_names_that_the_example_specs_use() -> None:
    studio = load_studio(None)
    (workspace,) = studio.workspaces
    assert (workspace.id, workspace.token_env) == ("3ad1c2b4e5f60718293a4b5c6d7e8f90", "CONTOSO_WORKSPACE_TOKEN")
    endpoints = {service.name: [endpoint.name for endpoint in service.endpoints] for service in workspace.services}
    assert endpoints == {
        "Breast Cancer [training exp.]": [],
        "Breast Cancer [predictive exp.]": ["clinica"],
        "Diabetes [training exp.]": [],
        "Diabetes [predictive exp.]": ["progress"],
        "Diabetes by URL [training exp.]": [],
    }
    rows = {dataset.name: dataset.source.rows for dataset in studio.datasets}
    assert [rows[f"breast-cancer-2026-{month}"] for month in ("09", "10", "11")] == [250, 400, 569]
    assert [rows[f"diabetes-2026-{month}"] for month in ("09", "10", "11")] == [200, 320, 442]
    assert studio.timings.sas_valid_for == timedelta(hours=24, minutes=5)


def test_every_setting_is_named_and_explained_in_the_default_file() -> None:
    text = (Path(__file__).parents[3] / "reconciler" / "emulator" / "config" / "default_studio.yaml").read_text("utf-8")
    content = yaml.safe_load(text)
    studio = load_studio(None)
    for section in ("timings", "limits"):
        settings = getattr(studio, section)
        # What profiles differ in is said by the profile, and explained in the README.
        names = {field.alias for field in type(settings).model_fields.values() if not has_profiles(field)}
        assert content[section].keys() == names
        assert settings == type(settings)()
    assert studio.behaviour == Behaviour()


def test_services_of_one_name_get_ids_that_are_the_same_at_every_start(tmp_path: Path) -> None:
    first, again = load_studio(written(tmp_path)), load_studio(written(tmp_path))
    ids = [first.workspaces[0].service_id(position) for position in range(2)]
    assert ids == [again.workspaces[0].service_id(position) for position in range(2)]
    assert len({*ids, derived_id("x")}) == 3


def test_data_files_are_relative_to_the_studio_file(tmp_path: Path) -> None:
    assert load_studio(written(tmp_path)).datasets[0].source.file == tmp_path / "flowers.csv"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"storageAccount": []}, ["storageAccount: Extra inputs"]),
        ({"storageAccounts": [{"name": "Store"}]}, ["storageAccounts.0.name"]),
        ({"timings": {"provisioning": 3}}, ["timings.provisioning", "24h5m"]),
        ({"behaviour": {"putExisting": "replace"}}, ["behaviour.putExisting", "'upsert', 'conflict' or 'refused'"]),
        ({"behaviour": {"putExistin": "upsert"}}, ["unknown setting 'putExistin'; did you mean 'putExisting'?"]),
        ({"timings": {"patch_takes_efect": "1s"}}, ["did you mean 'patchTakesEffect'?"]),
        ({"profile": "hostil"}, ["unknown profile 'hostil': did you mean hostile?"]),
        ({"profile": "random:"}, ["random:SEED"]),
        ({"principal": {"tenantId": "x", "clientId": "y"}}, ["principal.tenantId", "principal.clientId"]),
        ({"experiments": []}, ["unknown experiment 'score'", "unknown experiment 'train'"]),
        ({"datasets": []}, ["experiment 'train': unknown data set 'flowers'"]),
        ({"datasets": SMALL["datasets"] * 2}, ["duplicate data set 'flowers'"]),
        ({"storageAccounts": [{"name": "other"}]}, ["unknown storage account 'store'"]),
        (
            {"datasets": [{**SMALL["datasets"][0], "source": {"sklearn": "diabetes", "file": "x.csv"}}]},
            ["datasets.0.source", "either sklearn or file"],
        ),
    ],
)
def test_an_error_is_named_with_its_field(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(StudioFileError) as caught:
        load_studio(written(tmp_path, **changes))
    message = str(caught.value)
    assert str(tmp_path / "studio.yaml") in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("text", ["", "[", "- 1", "a: &a [*a]", "\x00"])
def test_a_file_that_is_no_studio_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "studio.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(StudioFileError, match=r"studio\.yaml"):
        load_studio(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioFileError, match=r"none\.yaml: cannot be read"):
        load_studio(tmp_path / "none.yaml")


async def test_a_studio_of_ones_own_trains_on_a_file(studio_thread: Any, connect: Any, tmp_path: Path) -> None:
    lines = [f"{n % 9},{('blue', 'white')[n % 2]},{'xyz'[n % 3]}" for n in range(90)]
    (tmp_path / "flowers.csv").write_text("\n".join(["size,colour,kind", *lines]))
    with studio_thread.studio(load_studio(written(tmp_path))) as studio:
        client = connect(studio)
        listed = await client.send(
            "GET",
            f"/workspaces/{'a' * 32}/webservices",
            token=studio.context.secrets.workspace_token("a" * 32),
        )
        assert [service["Name"] for service in listed.body] == ["same", "same"]
