"""A tree without mistakes becomes a fleet: what it holds, how it is selected from, and where things stand."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.spec.diagnostics import SpecError, SpecErrors
from reconciler.spec.documents import BlobInput, FileInput, Gate, SecretReference, UrlInput
from tests.support.fleets import load_fleet

EXAMPLE = Path(__file__).parents[2] / "specs"


def endpoint(name, studio_endpoint, *, workspace="contoso", kind="ClassicEndpoint"):
    return (
        f"---\napiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
        f"  workspace: {workspace}\n  webService: Predictive\n  endpoint: {studio_endpoint}\n"
        '  model: {resource: R, name: breast-cancer, version: "2026-10"}\n'
    )


def test_a_fleet_holds_what_the_documents_say(valid, load):
    fleet = load({"fleet.yaml": valid})

    assert list(fleet.workspaces) == ["contoso"]
    assert fleet.workspaces["contoso"].spec.token == SecretReference(env="CONTOSO_WORKSPACE_TOKEN")
    recipe = fleet.models["breast-cancer"].spec
    assert recipe.gates == (Gate(metric="AUC", min=0.95), Gate(metric="AUC", max_drop=0.01))
    assert recipe.training is not None
    assert recipe.training.timeout == timedelta(minutes=90)
    assert recipe.training.classic.endpoint == "default"
    clinic = fleet.target_documents["clinic-a"].spec
    assert (clinic.throttle_level, clinic.max_concurrent_calls, clinic.diagnostics) == ("High", 20, "None")
    assert clinic.probe is not None
    assert clinic.probe.rows == ({"age": 40, "smoker": False},)
    assert fleet.target_documents["bought-new"].spec.settings.diagnostics == "Error"
    ready = fleet.models["bought"].spec.versions["2026-09"].location
    assert ready.relative_location == "models/bought.ilearner"


def test_what_is_left_out_is_not_managed(load, valid):
    bare = load({"fleet.yaml": valid + endpoint("bare", "bare")}).target_documents["bare"].spec

    assert (bare.description, bare.throttle_level, bare.max_concurrent_calls, bare.probe) == (None,) * 4


@pytest.mark.parametrize(("written", "means"), [("2h", 120), ("1h30m", 90), ("1d", 1440), ("120s", 2)])
def test_a_timeout_is_a_number_with_a_unit(written, means, valid, load):
    spec = load({"fleet.yaml": valid.replace("timeout: 90m", f"timeout: {written}")}).models["breast-cancer"].spec

    assert spec.training is not None
    assert spec.training.timeout == timedelta(minutes=means)


def test_a_recipe_is_resolved_for_a_label(valid, load):
    spoilt = valid.replace(
        'input1: {file: "data/breast-cancer-{version}.csv"}',
        'input1: {file: "data/{version}.csv"}\n      b: {blob: "sets/{version}/a-{version}.csv"}\n'
        '      c: {url: "https://example.com/{version}"}',
    ).replace("{Rounds: 20}", '{Rounds: 20, Note: "of {version}", Json: "{}"}')
    training = load({"fleet.yaml": spoilt}).models["breast-cancer"].spec.training
    assert training is not None

    resolved = training.resolve("2026-10")

    assert resolved.inputs == {
        "input1": FileInput(file="data/2026-10.csv"),
        "b": BlobInput(blob="sets/2026-10/a-2026-10.csv"),
        "c": UrlInput(url="https://example.com/2026-10"),
    }
    assert resolved.parameters == {"Rounds": 20, "Note": "of 2026-10", "Json": "{}"}


def test_a_url_to_this_machine_may_be_plain(valid, load):
    local = valid.replace('{file: "data/breast-cancer-{version}.csv"}', '{url: "http://127.0.0.1:8080/a.csv"}')

    assert load({"fleet.yaml": local}).models


def test_documents_may_be_spread_over_a_tree_in_yaml_and_json(load, valid):
    documents = valid.split("---\n")
    files = {f"{number}/data/.hidden/{number}.yml": text for number, text in enumerate(documents[:-1])}
    files |= {
        "new.JSON": '{"apiVersion": "reconciler/v1", "kind": "NewWebService", "metadata": {"name": "bought-new",\n'
        '"labels": {"region": "amer"}}, "spec": {"resourceId": "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/'
        'resourceGroups/g/providers/Microsoft.MachineLearning/webServices/B", "model": {"resource":\n'
        '"Bought [trained model]", "name": "bought", "version": "2026-09"}, "settings": {"maxConcurrentCalls": 20,\n'
        '"diagnostics": "Error"}}}',
        "data/rows.csv": "not: [yaml",
        "notes.md": "not: [yaml",
    }

    spread = load(files)

    assert [target.name for target in spread.targets] == ["bought-new", "clinic-a"]


def test_the_revision_is_that_of_what_is_said_and_not_of_how(tmp_path, valid):
    def revision(name, texts):
        for number, text in enumerate(texts):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{number}.yaml").write_text(text)
        return load_fleet([tmp_path / name]).revision

    one = revision("one", [valid])
    apart = revision("apart", reversed([f"# why\n{text}" for text in valid.split("---\n")]))
    null = revision("null", [valid.replace("  description: Clinic A\n", "  description: Clinic A\n  probe: null\n")
                             .replace("  probe:\n    rows: [{age: 40, smoker: false}]\n", "")])  # fmt: skip
    left_out = revision("left_out", [valid.replace("  probe:\n    rows: [{age: 40, smoker: false}]\n", "")])
    other = revision("other", [valid.replace('"2026-10"', '"2026-11"')])

    assert len(one) == 16
    assert one == apart
    assert null == left_out
    assert len({one, left_out, other}) == 3


def test_a_file_named_twice_is_read_once(tmp_path, valid):
    file = tmp_path / "fleet.yaml"
    file.write_text(valid)
    (tmp_path / "link.yaml").symlink_to(file)

    assert load_fleet([file, tmp_path, file]).targets


def test_a_byte_order_mark_of_utf_8_is_tolerated(load, valid):
    assert load({"fleet.yaml": b"\xef\xbb\xbf" + valid.encode()}).targets


def test_windows_line_ends_do_not_move_positions(load, valid):
    fleet = load({"fleet.yaml": valid.replace("\n", "\r\n")})

    assert str(fleet.position_of("ClassicEndpoint", "clinic-a")) == "specs/fleet.yaml:42:18"


def test_a_document_knows_where_it_stands(load, valid):
    fleet = load({"a/b/fleet.yaml": valid})

    assert str(fleet.position_of("Model", "bought")) == "specs/a/b/fleet.yaml:30:18"
    assert fleet.base_dir_of("Model", "bought") == Path("specs/a/b")
    with pytest.raises(KeyError):
        fleet.position_of("Model", "nobody")


def test_wanted_versions_name_the_targets_that_want_them(load, valid):
    fleet = load({"fleet.yaml": valid + endpoint("zeta", "zeta") + endpoint("beta", "beta")})

    assert fleet.wanted_versions() == {
        ("bought", "2026-09"): ["bought-new"],
        ("breast-cancer", "2026-10"): ["beta", "clinic-a", "zeta"],
    }


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        ([], ["bought-new", "clinic-a", "clinic-b"]),
        (["clinic-a"], ["clinic-a"]),
        (["clinic-*"], ["clinic-a", "clinic-b"]),
        (["region=emea"], ["clinic-a"]),
        (["region=*"], ["bought-new", "clinic-a"]),
        (["region=amer", "clinic-b"], ["bought-new", "clinic-b"]),
    ],
)
def test_targets_are_selected_by_name_glob_and_label(selectors, names, load, valid):
    fleet = load({"fleet.yaml": valid + endpoint("clinic-b", "clinicb")})

    chosen = fleet.select(selectors)

    assert [target.name for target in chosen.targets] == names
    assert chosen.revision == fleet.revision
    assert chosen.models == fleet.models


def test_a_selector_that_picks_nothing_is_an_error_that_names_the_nearest(load, valid):
    fleet = load({"fleet.yaml": valid})

    with pytest.raises(SpecError) as raised:
        fleet.select(["clinic-b", "clinic-a", "region=eema"])

    first, second = str(raised.value).splitlines()
    assert "'clinic-b'" in first
    assert "did you mean 'clinic-a'?" in first
    assert "did you mean 'region=emea'?" in second


def test_a_name_is_given_once_in_a_kind(load, mistakes, valid):
    (found,) = mistakes({"a.yaml": endpoint("twice", "one"), "b.yaml": endpoint("twice", "two"), "fleet.yaml": valid})

    assert found.summary == "duplicate name: two ClassicEndpoint documents are named 'twice'"
    assert str(found.position) == "specs/b.yaml:4:18"
    assert "the first is at specs/a.yaml:4:18" in found.detail


def test_targets_of_both_kinds_share_one_space_of_names(mistakes, valid):
    (found,) = mistakes({"a.yaml": valid, "b.yaml": endpoint("bought-new", "other")})

    assert found.summary == "duplicate name: a NewWebService is named 'bought-new' too"
    assert "the first is at specs/a.yaml:57:18; targets of all kinds share one space" in found.detail


def test_a_target_may_be_named_like_a_model(load, valid):
    assert load({"fleet.yaml": valid + endpoint("breast-cancer", "same")}).targets


def test_two_targets_must_not_manage_one_endpoint(mistakes, valid):
    (found,) = mistakes({"a.yaml": valid + endpoint("left", "same"), "b.yaml": endpoint("right", "same")})

    assert found.summary == "two targets manage the same endpoint: 'left' and 'right'"
    assert str(found.position) == "specs/b.yaml:8:13"
    assert found.detail == "the first is at specs/a.yaml:69:13"


def test_one_workspace_under_two_names_does_not_hide_a_shared_endpoint(mistakes, valid):
    alias = valid.split("---\n")[0].replace("{name: contoso}", "{name: alias}").replace("3ad1c2b4", "3AD1C2B4")

    (found,) = mistakes({
        "a.yaml": valid + endpoint("left", "same"),
        "b.yaml": alias,
        "c.yaml": endpoint("right", "same", workspace="alias"),
    })  # fmt: skip

    assert found.summary == "two targets manage the same endpoint: 'left' and 'right'"


def test_two_targets_must_not_manage_one_new_web_service(mistakes, valid):
    again = valid.split("---\n")[-1].replace("bought-new", "again").replace("resourceGroups/g/", "resourcegroups/G/")

    (found,) = mistakes({"a.yaml": valid, "b.yaml": again})

    assert found.summary == "two targets manage the same web service: 'bought-new' and 'again'"


def test_paths_that_lead_nowhere_are_reported_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("specs").mkdir()
    Path("notes.txt").write_text("hello")

    with pytest.raises(SpecErrors) as raised:
        load_fleet([Path("spec"), Path("empty"), Path("notes.txt")])

    assert [str(each) for each in raised.value.diagnostics] == [
        "empty: the directory has no spec files\n    looked for .yaml, .yml, .json",
        "notes.txt: is not a spec file\n    allowed: .yaml, .yml, .json, or a directory",
        "spec: no such file or directory\n    did you mean 'specs'?",
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n---\n", "null\n", "\ufeff"])
def test_files_without_documents_are_reported(text, mistakes):
    (found,) = mistakes({"a.yaml": text})

    assert str(found) == "specs: the file has no documents"


def test_empty_documents_between_others_are_skipped(load, valid):
    assert load({"fleet.yaml": "---\n# first\n---\n" + valid + "---\n", "empty.json": " "}).targets


def test_what_is_not_a_regular_file_is_not_read(tmp_path, valid):
    (tmp_path / "fleet.yaml").write_text(valid)
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nobody")
    os.mkfifo(tmp_path / "pipe.yaml")  # reading it would block for ever

    with pytest.raises(SpecErrors) as raised:
        load_fleet([tmp_path])

    assert str(raised.value).splitlines() == [
        f"{tmp_path / name}: cannot be read: it is not a regular file" for name in ("dangling.yaml", "pipe.yaml")
    ]


def test_the_example_fleet_has_no_mistakes():
    fleet = load_fleet([EXAMPLE])

    assert [target.name for target in fleet.targets] == [
        "breast-cancer-new",
        "clinic-a",
        "clinic-b",
        "diabetes-progress",
    ]
    assert set(fleet.wanted_versions()) == {("breast-cancer", "2026-10"), ("diabetes", "2026-10")}
