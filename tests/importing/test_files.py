"""The files that an import writes: what documents say, what comments say instead, and that it all loads."""

import pytest

from reconciler.importing.drafts import draft
from reconciler.importing.files import files_of
from reconciler.plan.states import VersionKey
from reconciler.spec.documents import NewWebService
from reconciler.spec.formatting.formatter import formatted
from reconciler.targets import kinds
from tests.support.fleets import load_fleet

KEY = VersionKey("breast-cancer", "2026-10")
SETTINGS = {
    "Description": "Clinic A",
    "ThrottleLevel": "High",
    "MaxConcurrentCalls": 20,
    "DiagnosticsTraceLevel": "None",
}


@pytest.fixture
def written(a, tmp_path):
    """Writes the files of an inventory; gives their texts and the fleet that they make."""

    def write(inventory, known=None):
        files = files_of(draft(inventory, known or a.known()))
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            assert formatted(text, kinds.documents(), as_json=False) == text
        return files, load_fleet([tmp_path])

    return write


def test_an_endpoint_is_written_with_all_its_settings(a, written):
    files, fleet = written(a.inventory(a.service(a.endpoint(bound={a.model: a.place()}, **SETTINGS))))
    assert ["classic-breast-cancer.yaml", "models.yaml", "workspaces.yaml"] == sorted(files)
    (endpoint,) = fleet.target_documents.values()
    assert "breast-cancer-clinica" == endpoint.name
    spec = endpoint.spec
    assert ("contoso", "Breast Cancer [predictive exp.]", "clinica") == (
        spec.workspace,
        spec.web_service,
        spec.endpoint,
    )
    assert ("Clinic A", "High", 20, "None") == (
        spec.description,
        spec.throttle_level,
        spec.max_concurrent_calls,
        spec.diagnostics,
    )
    (use,) = spec.bindings
    ready = fleet.models[use.name].spec.versions[use.version].location
    assert (a.base, a.place().relative) == (ready.base_location, ready.relative_location)
    assert "known" not in files["classic-breast-cancer.yaml"]


def test_an_unknown_model_is_a_comment_and_not_a_guess(a, written):
    files, fleet = written(a.inventory(a.service(a.endpoint(**SETTINGS))))
    (endpoint,) = fleet.target_documents.values()
    assert () == endpoint.spec.bindings
    text = files["classic-breast-cancer.yaml"]
    assert "managed for their settings only" in text
    assert '#     model: {resource: "Breast Cancer [trained model]", name: MODEL, version: "LABEL"}' in text


def test_a_note_whose_version_lies_nowhere_known_is_told(a, written):
    files, _ = written(a.inventory(a.service(a.endpoint(markers=[a.marker(KEY)]))))
    assert "# The ownership marker names breast-cancer@2026-10" in files["classic-breast-cancer.yaml"]


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        ({"Description": "key=AccountKey=abcdefgh12345678"}, "description is left out, so it is not managed: it looks"),
        ({"Description": " Clinic A"}, "description is left out, so it is not managed: it begins or ends"),
        ({"Description": "x" * 1950}, "description is left out, so it is not managed: it is too long"),
        ({"Description": "half \ud83d"}, "description is left out, so it is not managed: it holds half a character"),
        ({"ThrottleLevel": "Low", "MaxConcurrentCalls": 20}, "maxConcurrentCalls is left out"),
        ({"MaxConcurrentCalls": 400}, "maxConcurrentCalls is left out"),
        ({"DiagnosticsTraceLevel": "Verbose"}, "diagnostics is left out"),
    ],
)
def test_what_a_spec_cannot_say_is_left_alone_and_told(a, written, settings, left_out):
    files, fleet = written(a.inventory(a.service(a.endpoint(**settings))))
    assert left_out in files["classic-breast-cancer.yaml"].replace("\n# ", " ")
    assert "abcdefgh12345678" not in "".join(files.values())
    (endpoint,) = fleet.target_documents.values()
    spec = endpoint.spec
    assert (None, None, None) == (spec.description, spec.max_concurrent_calls, spec.diagnostics)


@pytest.mark.parametrize("text", ["yes", "2026-10", 'a "b": {c}', "Zürich\n  two\tlines # 1", "- x", "{version}", "😀"])
def test_whatever_people_wrote_comes_back_as_it_was(a, written, text):
    _, fleet = written(a.inventory(a.service(a.endpoint(Description=text))))
    (endpoint,) = fleet.target_documents.values()
    assert text == endpoint.spec.description


def test_a_service_whose_name_is_not_unique_is_named_by_its_id(a, written):
    services = [
        a.service(a.endpoint(name), id=identity, unique=False) for name, identity in (("one", "s1"), ("two", "s2"))
    ]
    files, fleet = written(a.inventory(*services))
    assert {"s1", "s2"} == {each.spec.web_service for each in fleet.target_documents.values()}
    assert 2 == sum(name.startswith("classic-breast-cancer-") for name in files)


def test_an_endpoint_that_the_rules_do_not_allow_is_told_by_its_name(a, written):
    files, fleet = written(a.inventory(a.service(a.endpoint("Clinic_A"), a.endpoint("clinicb"))))
    assert ["clinicb"] == [each.spec.endpoint for each in fleet.target_documents.values()]
    assert "'Clinic_A'" in files["classic-breast-cancer.yaml"]


def test_training_services_are_told_and_no_model_is_made_of_them(a, written):
    training = a.service(name="Diabetes [training exp.]", id="t1", training=True)
    new = a.web_service("DiabetesTraining", resources=())
    files, fleet = written(a.inventory(a.service(a.endpoint()), training, web_services=[new]))
    assert "# - 'Diabetes [training exp.]' of workspace contoso, id t1" in files["models.yaml"]
    assert "webServices/DiabetesTraining" in files["models.yaml"]
    assert {} == dict(fleet.models) == dict(fleet.of(NewWebService))


def test_a_training_service_that_a_document_refers_to_is_not_told_again(a):
    inventory = a.inventory(a.service(name="Diabetes [training exp.]", id="t1", training=True))
    assert 1 == len(draft(inventory, a.known()).idle)
    assert () == draft(inventory, a.known(training=frozenset({("contoso", "Diabetes [training exp.]")}))).idle


def test_a_new_web_service_is_written_with_its_model_and_settings(a, written):
    found = a.web_service(bound={a.model: a.place()}, maxConcurrentCalls=20, diagnostics="Error")
    files, fleet = written(a.inventory(web_services=[found]))
    assert "new-contoso-ml.yaml" in files
    (service,) = fleet.target_documents.values()
    assert ("breast-cancer", found.resource_id) == (service.name, service.spec.resource_id)
    assert (20, "Error") == (service.spec.settings.max_concurrent_calls, service.spec.settings.diagnostics)
    assert 1 == len(service.spec.bindings)


def test_its_tags_and_texts_are_written_but_for_what_looks_secret(a, written):
    live = {
        "tags.team": "oncology",
        "tags.key": "AccountKey=abcdefgh12345678",
        "title": "Cancer",
        "exposeSampleData": True,
    }
    files, fleet = written(a.inventory(web_services=[a.web_service(**live)]))
    (service,) = fleet.target_documents.values()
    assert {"team": "oncology"} == service.spec.tags
    assert ("Cancer", True) == (service.spec.settings.title, service.spec.settings.expose_sample_data)
    assert "# The tag 'key' is left out" in files["new-contoso-ml.yaml"]
    assert "abcdefgh12345678" not in "".join(files.values())


def test_a_new_web_service_and_an_endpoint_share_a_version(a, written):
    files, fleet = written(
        a.inventory(
            a.service(a.endpoint(bound={a.model: a.place()})), web_services=[a.web_service(bound={a.model: a.place()})]
        )
    )
    assert 1 == len(fleet.wanted_versions())
    assert 1 == files["models.yaml"].count("relativeLocation")


def test_several_resources_are_several_models(a, written):
    bound = {"Age": a.place("m/age.ilearner"), "Sex": a.place("m/sex.ilearner")}
    _, fleet = written(a.inventory(a.service(a.endpoint(resources=("Age", "Sex"), bound=bound))))
    (endpoint,) = fleet.target_documents.values()
    assert ["Age", "Sex"] == [use.resource for use in endpoint.spec.models]


def test_what_has_a_document_is_not_written_again(a):
    inventory = a.inventory(a.service(a.endpoint("clinica"), a.endpoint("clinicb")))
    (identities, _) = (target.identities for target in inventory.groups[0].targets)
    drafts = draft(inventory, a.known(written=(), documented=identities))
    assert 1 == drafts.managed
    assert ["clinicb"] == [each.document.spec.endpoint for each in drafts.groups[0].targets]
    everything = draft(a.inventory(a.service(a.endpoint("clinica"))), a.known(written=(), documented=identities))
    assert {} == files_of(everything)


def test_what_could_not_be_read_stops_nothing_and_is_told(a, written):
    broken = a.service(name="Broken", id="b1", problem="GET answered 500")
    inventory = a.inventory(broken, a.service(a.endpoint()))
    _, fleet = written(inventory)
    assert 1 == len(fleet.target_documents)
    assert ("web service 'Broken' of workspace contoso: GET answered 500",) == draft(inventory, a.known()).problems
