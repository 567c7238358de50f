"""Each mistake in a document gets one message at the exact place. The place is marked ``¦`` in the spoilt text."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Case:
    """A mistake: the right text, the spoilt one with its place marked, and what the message must hold."""

    right: str
    wrong: str
    field: str
    words: str
    more: str = ""


DOCUMENT_CASES = {
    "unknown field": Case(
        "  region: South", "  ¦regoin: South", "spec.regoin", "unknown field 'regoin'", "did you mean 'region'?"
    ),
    "field in another spelling": Case(
        '  webService: "Breast Cancer [p', '  ¦web_service: "Breast Cancer [p', "spec.web_service",
        "unknown field 'web_service'", "did you mean 'webService'?",
    ),
    "missing field": Case(
        "    container: models\n", "", "spec.storage.container", "missing field 'container'", "Container for inputs"
    ),
    "kind misspelt": Case(
        "kind: NewWebService", "kind: ¦NewWebServce", "kind", "unknown kind 'NewWebServce'", "'NewWebService'?"
    ),
    "version of the format": Case(
        "apiVersion: reconciler/v1\nkind: NewWeb", "apiVersion: ¦reconciler/v2\nkind: NewWeb", "apiVersion",
        "'reconciler/v2' is not allowed", "allowed: reconciler/v1",
    ),
    "value of another case": Case(
        "throttleLevel: High", "throttleLevel: ¦high", "spec.throttleLevel", "'high' is not allowed",
        "did you mean 'High'?",
    ),
    "date as version": Case(
        'breast-cancer, version: "2026-10"', "breast-cancer, version: ¦2026-11-01", "spec.model.version",
        "a text is expected here, found 2026-11-01 (a date)", 'quote it: "2026-11-01"',
    ),
    "number as version": Case(
        'breast-cancer, version: "2026-10"', "breast-cancer, version: ¦2026.10", "spec.model.version",
        "a text is expected here, found 2026.10 (a number)", 'quote it: "2026.10"',
    ),
    "number as label of a ready version": Case(
        '    "2026-09":\n', "    ¦2026.09: {location: {baseLocation: https://a.b/, relativeLocation: c/d.ilearner}}\n"
        '    "2026-09":\n',
        "spec.versions",
        "a key must be a text; YAML reads this one as a number", 'quote it: "2026.09"',
    ),
    "boolean as text": Case(
        "description: Clinic A", "description: ¦yes", "spec.description",
        "a text is expected here, found yes (a boolean)", 'quote it: "yes"',
    ),
    "quoted number": Case(
        "  throttleLevel: High\n  maxConcurrentCalls: 20", '  throttleLevel: High\n  maxConcurrentCalls: ¦"20"',
        "spec.maxConcurrentCalls", "a whole number is expected here, found '20'", "write it without quotes: 20",
    ),
    "mapping left empty": Case(
        "    parameters: {Rounds: 20}", "    parameters:¦", "spec.training.parameters",
        "a mapping is expected here, found nothing (null)", "leave the field out, or write {}",
    ),
    "label that is no text": Case(
        "{region: emea}", "{region: ¦7}", "metadata.labels.region", "a text is expected here, found 7 (a number)"
    ),
    "label key with an equals sign": Case(
        "{region: emea}", '{¦"a=b": emea}', 'metadata.labels["a=b"]', "the key 'a=b' is not a valid label key"
    ),
    "endpoint in upper case": Case(
        "endpoint: clinica", "endpoint: ¦Clinica", "spec.endpoint", "'Clinica' is not a valid endpoint name",
        "1 to 24 digits, lower-case letters and hyphens",
    ),
    "endpoint with a hyphen at its end": Case(
        "endpoint: clinica", "endpoint: ¦clinica-", "spec.endpoint", "'clinica-' is not a valid endpoint name"
    ),
    "endpoint too long": Case(
        "endpoint: clinica", f"endpoint: ¦{'c' * 25}", "spec.endpoint", "is not a valid endpoint name"
    ),
    "the default endpoint": Case(
        "endpoint: clinica", "endpoint: ¦default", "spec.endpoint", "'default' cannot be a target",
        "reconciler creates it",
    ),
    "description too long": Case(
        "description: Clinic A", f"description: ¦{'x' * 1881}", "spec.description", "is too long: 1881 characters",
        "at most 1880 characters",
    ),
    "description with our marker": Case(
        "description: Clinic A", 'description: ¦"A [reconciler: m@v 0123456789ab]"', "spec.description",
        "with which reconciler's own marker begins",
    ),
    "too many calls for Low": Case(
        "throttleLevel: High\n  maxConcurrentCalls: 20", "throttleLevel: Low\n  maxConcurrentCalls: ¦5",
        "spec.maxConcurrentCalls", "5 (a number) is more than throttleLevel Low allows", "1 to 4 with Low",
    ),
    "too many calls for High": Case(
        "throttleLevel: High\n  maxConcurrentCalls: 20", "throttleLevel: High\n  maxConcurrentCalls: ¦201",
        "spec.maxConcurrentCalls", "201 (a number) is out of range", "at most 200",
    ),
    "no calls": Case(
        "throttleLevel: High\n  maxConcurrentCalls: 20", "throttleLevel: High\n  maxConcurrentCalls: ¦0",
        "spec.maxConcurrentCalls", "0 (a number) is out of range", "at least 1",
    ),
    "too few calls for a New service": Case(
        "{maxConcurrentCalls: 20", "{maxConcurrentCalls: ¦3", "spec.settings.maxConcurrentCalls",
        "3 (a number) is out of range", "at least 4",
    ),
    "resource id of another provider": Case(
        "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/Microsoft.MachineLearning/",
        "¦/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/Microsoft.Web/",
        "spec.resourceId", "is not the resource id of a New web service",
        "Microsoft.MachineLearning/webServices/<name>",
    ),
    "workspace id with hyphens": Case(
        "id: 3ad1c2b4e5f60718293a4b5c6d7e8f90", "id: ¦3ad1c2b4-e5f6-0718-293a-4b5c6d7e8f90", "spec.id",
        "is not a workspace id", "32 hexadecimal digits",
    ),
    "empty region": Case("region: South Central US", 'region: ¦" "', "spec.region", "' ' is empty"),
    "container in upper case": Case(
        "container: models", "container: ¦Models", "spec.storage.container", "'Models' is not a valid container name"
    ),
    "document name with a space": Case(
        "{name: clinic-a,", "{name: ¦clinic a,", "metadata.name", "'clinic a' is not a valid name"
    ),
    "version label with a slash": Case(
        'breast-cancer, version: "2026-10"', 'breast-cancer, version: ¦"2026/10"', "spec.model.version",
        "'2026/10' is not a valid version label", "blob paths and markers",
    ),
    "version label too long": Case(
        'breast-cancer, version: "2026-10"', f'breast-cancer, version: ¦"{"9" * 41}"', "spec.model.version",
        "is too long for a version label: 41 characters",
    ),
    "empty resource": Case(
        'resource: "Bought [trained model]"', 'resource: ¦""', "spec.model.resource", "'' is empty"
    ),
    "gate without a rule": Case(
        "- {metric: AUC, min: 0.95}", "- ¦{metric: AUC}", "spec.gates[0]",
        "needs exactly one of min, max, maxDrop; found none of them",
    ),
    "gate with two rules": Case(
        "- {metric: AUC, maxDrop: 0.01}", "- ¦{metric: AUC, max: 1, maxDrop: 0.01}", "spec.gates[1]",
        "found max and maxDrop",
    ),
    "gate with a misspelt rule": Case(
        "- {metric: AUC, maxDrop: 0.01}", "- {metric: AUC, ¦maxdrop: 0.01}", "spec.gates[1].maxdrop",
        "unknown field 'maxdrop'", "did you mean 'maxDrop'?",
    ),
    "gate that allows a negative drop": Case(
        "maxDrop: 0.01", "maxDrop: ¦-0.01", "spec.gates[1].maxDrop", "-0.01 (a number) is out of range", "at least 0"
    ),
    "gate on what is not a number": Case(
        "min: 0.95", "min: ¦.nan", "spec.gates[0].min", ".nan (a number) is not a finite number"
    ),
    "input of two forms": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', "input1: ¦{file: a.csv, blob: abc/a.csv}",
        "spec.training.inputs.input1", "needs exactly one of file, blob, url; found 'file' and 'blob'",
    ),
    "input of a misspelt form": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', "input1: ¦{flie: a.csv}",
        "spec.training.inputs.input1", "found 'flie'", "did you mean 'file'?",
    ),
    "input with an unknown field": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', "input1: {file: a.csv, ¦format: csv}",
        "spec.training.inputs.input1.format", "unknown field 'format'", "allowed: file",
    ),
    "unknown placeholder": Case(
        '"data/breast-cancer-{version}.csv"', '¦"data/breast-cancer-{versoin}.csv"',
        "spec.training.inputs.input1.file", "has an unknown placeholder", "{version} is the only placeholder",
    ),
    "blob without a path": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', "input1: {blob: ¦datasets}",
        "spec.training.inputs.input1.blob", "'datasets' does not name a blob", "container/path",
    ),
    "input over plain http": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', 'input1: {url: ¦"http://example.com/a.csv"}',
        "spec.training.inputs.input1.url", "uses http:// to another machine", "http:// to localhost",
    ),
    "input from no URL": Case(
        'input1: {file: "data/breast-cancer-{version}.csv"}', "input1: {url: ¦example.com/a.csv}",
        "spec.training.inputs.input1.url", "'example.com/a.csv' is not a URL",
    ),
    "parameter that is a list": Case(
        "{Rounds: 20}", "{Rounds: ¦[20]}", "spec.training.parameters.Rounds", "a list is not a single value"
    ),
    "parameter that is a date": Case(
        "{Rounds: 20}", "{Since: ¦2026-01-01}", "spec.training.parameters.Since",
        "2026-01-01 (a date) is not a single value", 'quote it: "2026-01-01"',
    ),
    "parameter that holds data of a misspelt form": Case(
        "{Rounds: 20}", "{URI: ¦{flie: a.csv}}", "spec.training.parameters.URI",
        "needs exactly one of file, blob, url; found 'flie'", "did you mean 'file'?",
    ),
    "parameter that holds data of two forms": Case(
        "{Rounds: 20}", "{URI: ¦{file: a.csv, url: https://a.b/c}}", "spec.training.parameters.URI",
        "found 'file' and 'url'",
    ),
    "parameter that holds data with an unknown field": Case(
        "{Rounds: 20}", "{URI: {blob: abc/a.csv, ¦sas: x}}", "spec.training.parameters.URI.sas",
        "unknown field 'sas'", "allowed: blob",
    ),
    "parameter that holds no URL": Case(
        "{Rounds: 20}", "{URI: {url: ¦example.com}}", "spec.training.parameters.URI.url", "'example.com' is not a URL"
    ),
    "timeout without a unit": Case(
        "timeout: 90m", "timeout: ¦90", "spec.training.timeout", "90 (a number) is not a duration", "as in 2h, 90m"
    ),
    "timeout of nothing": Case(
        "timeout: 90m", "timeout: ¦0m", "spec.training.timeout", "'0m' is out of range", "more than zero"
    ),
    "timeout of an age": Case(
        "timeout: 90m", f"timeout: ¦{'9' * 20}d", "spec.training.timeout", "is out of range", "at most 30d"
    ),
    "training by a New service that is none": Case(
        '    classic: {webService: "Breast Cancer [training exp.]"}', "    new: {resourceId: ¦x}",
        "spec.training.new.resourceId", "'x' is not the resource id of a New web service",
        "Microsoft.MachineLearning/webServices/<name>",
    ),
    "training by two services": Case(
        '    classic: {webService: "Breast Cancer [training exp.]"}',
        "    ¦classic: {webService: B}\n    new: {resourceId: x}",
        "spec.training", "needs exactly one of classic, new; found classic and new",
    ),
    "training by no service": Case(
        '    classic: {webService: "Breast Cancer [training exp.]"}', "    ¦pool: p",
        "spec.training", "needs exactly one of classic, new; found none of them",
    ),
    "training by a misspelt service": Case(
        '    classic: {webService: "Breast Cancer [training exp.]"}', "    ¦clasic: {webService: B}",
        "spec.training.clasic", "unknown field 'clasic'", "did you mean 'classic'?",
    ),
    "training on a pool without a name": Case(
        "timeout: 90m", 'timeout: 90m\n    pool: ¦""', "spec.training.pool", "'' is empty"
    ),
    "evaluation on the model's output": Case(
        "evaluation: output2", "evaluation: ¦output1", "spec.training.outputs.evaluation",
        "'output1' is the same output as the model's",
    ),
    "base location with a query": Case(
        "https://contoso.blob.core.windows.net/\n", '¦"https://contoso.blob.core.windows.net/?a=b"\n',
        'spec.versions["2026-09"].location.baseLocation', "has a query", "a SAS goes into sasToken",
    ),
    "ready-made model of another type": Case(
        "models/bought.ilearner", "¦models/bought.pkl", 'spec.versions["2026-09"].location.relativeLocation',
        "is not the location of a trained model", "ending in .ilearner",
    ),
    "probe without rows": Case(
        "rows: [{age: 40, smoker: false}]", "rows: ¦[]", "spec.probe.rows", "a list has no rows", "at least one row"
    ),
    "probe with a nested value": Case(
        "{age: 40, smoker: false}", "{age: ¦{years: 40}, smoker: false}", "spec.probe.rows[0].age",
        "a mapping is not a single value",
    ),
    "unknown workspace": Case(
        "  workspace: contoso\n  webService", "  workspace: ¦contosso\n  webService", "spec.workspace",
        "no Workspace is named 'contosso'", "did you mean 'contoso'?",
    ),
    "unknown model": Case(
        "name: breast-cancer, version", "name: ¦breast-cancr, version", "spec.model.name",
        "no Model is named 'breast-cancr'", "did you mean 'breast-cancer'?",
    ),
    "version that cannot be had": Case(
        'name: bought, version: "2026-09"', 'name: bought, version: ¦"2026-08"', "spec.model.version",
        "version '2026-08' of model 'bought' does not exist", "its ready-made versions: 2026-09",
    ),
    "target in a training service": Case(
        'webService: "Breast Cancer [predictive exp.]"', 'webService: ¦"Breast Cancer [training exp.]"',
        "spec.webService", "is a training web service", "name the predictive web service",
    ),
    "token written out": Case(
        "token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: ¦hunter2", "spec.token", "a literal secret",
        "{keyVault: {vault: NAME, secret: NAME}}",
    ),
    "secret reference to two places": Case(
        "{env: CONTOSO_STORAGE}", "¦{env: CONTOSO_STORAGE, file: storage.txt}", "spec.storage.connectionString",
        "needs exactly one of env, file, keyVault; found env and file",
    ),
    "secret reference to no place": Case(
        "{env: CONTOSO_STORAGE}", "¦{}", "spec.storage.connectionString", "found none of them"
    ),
    "secret reference to a vault without its secret": Case(
        "{env: CONTOSO_STORAGE}", "{keyVault: ¦{vault: contoso-vault}}",
        "spec.storage.connectionString.keyVault.secret",
        "missing field 'secret'", "Name of the secret in the vault.",
    ),
    "secret reference to a vault with a typo": Case(
        "{env: CONTOSO_STORAGE}", "{keyVault: {vault: contoso-vault, ¦secrt: s}}",
        "spec.storage.connectionString.keyVault.secrt",
        "unknown field 'secrt'", "did you mean 'secret'?",
    ),
    "secret reference to a vault with a path": Case(
        "{env: CONTOSO_STORAGE}", "{keyVault: {vault: ¦'https://c.vault.azure.net/secrets', secret: s}}",
        "spec.storage.connectionString.keyVault.vault",
        "not the name or URL of a Key Vault", "without a path",
    ),
    "secret reference to a vault by plain http": Case(
        "{env: CONTOSO_STORAGE}", "{keyVault: {vault: ¦'http://c.vault.azure.net', secret: s}}",
        "spec.storage.connectionString.keyVault.vault", "not the name or URL of a Key Vault",
    ),
    "secret reference to no version": Case(
        "{env: CONTOSO_STORAGE}", "{keyVault: {vault: contoso-vault, secret: s, version: ¦latest}}",
        "spec.storage.connectionString.keyVault.version",
        "not the version of a secret", "remove it to use the current version",
    ),
    "secret reference with a typo": Case(
        "{env: CONTOSO_STORAGE}", "{¦enV: CONTOSO_STORAGE}", "spec.storage.connectionString.enV",
        "unknown field 'enV'", "did you mean 'env'?",
    ),
    "duplicate key": Case(
        "  endpoint: clinica\n", "  endpoint: clinica\n  ¦endpoint: clinicb\n", "spec", "duplicate key 'endpoint'",
        "it was first given at specs/fleet.yaml:46:3",
    ),
    "merge key": Case(
        "  endpoint: clinica\n", "  endpoint: clinica\n  ¦<<: {description: B}\n", "spec",
        "merge keys ('<<') are not supported",
    ),
    "unknown alias": Case(
        "description: Clinic A", "description: ¦*Clinic", "spec.description", "unknown alias 'Clinic'",
        "quote a text that begins with '*'",
    ),
    "tag": Case(
        "description: Clinic A", "description: ¦!secret A",
        "spec.description",
        "the YAML tag '!secret' is not supported"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENT_CASES.values(), ids=DOCUMENT_CASES)
def test_a_mistake_is_reported_once_and_at_its_place(case, valid, mistakes):
    assert valid.count(case.right) == 1, "the case must spoil one place"
    spoilt = valid.replace(case.right, case.wrong)
    place = (
        spoilt.find("¦") if case.wrong else valid.find(case.right) - len("connectionString: {env: CONTOSO_STORAGE}\n")
    )

    (found,) = mistakes({"fleet.yaml": spoilt.replace("¦", "")})

    line = spoilt.count("\n", 0, place) + 1
    column = place - (spoilt.rfind("\n", 0, place) + 1) + 1
    assert str(found.position) == f"specs/fleet.yaml:{line}:{column}"
    assert found.field == case.field
    assert case.words in found.summary
    assert case.more in f"{found.detail}\n{found.remedy}"


def test_a_new_training_service_is_no_target_however_its_id_is_spelt(valid, mistakes):
    resource_id = valid.partition("resourceId: ")[2].partition("\n")[0]
    spelt_otherwise = resource_id.replace("6f1d7c1e", "6F1D7C1E").replace("resourceGroups", "resourcegroups")
    trained = valid.replace(
        'classic: {webService: "Breast Cancer [training exp.]"}', f"new: {{resourceId: {resource_id}}}"
    )

    (found,) = mistakes(
        {"fleet.yaml": trained.replace(f"resourceId: {resource_id}\n", f"resourceId: {spelt_otherwise}\n")}
    )

    assert found.field == "spec.resourceId"
    assert "is a training web service, which cannot be a target" in found.summary
    assert "model 'breast-cancer'" in found.detail


SYNTAX_CASES = {
    "unclosed list": ("a: [1,\n  2\n", 3, 1, "not valid YAML: did not find expected ',' or ']'"),
    "unclosed quote": ('a: "b\nc: d\n', 3, 1, "not valid YAML: found unexpected end of stream"),
    "colon in a text": ("a: b: c\n", 1, 5, "not valid YAML: mapping values are not allowed"),
    "tab": ("a:\n\tb: c\n", 2, 1, "a tab is used for indentation"),
    "reserved character": ("a: @b\n", 1, 4, "not valid YAML: found character that cannot start any token"),
    "bad indentation": ("a:\n  b: c\n d: e\n", 3, 2, "not valid YAML: did not find expected key"),
    "list on top": ("- a\n- b\n", 1, 1, "a document must be a mapping, found a list"),
    "text on top": ("hello\n", 1, 1, "a document must be a mapping, found 'hello'"),
    "alias within itself": ("a: &x\n  b: [*x]\n", 2, 7, "the alias 'x' refers to a value that contains the alias"),
    "nesting": ("a: " + "[" * 70, 1, 67, "the document is nested more than 64 deep"),
    "control character": ("a: b\nc: d\x07e\n", 2, 5, "the file has a control character: U+0007"),
    "NUL": ("a: \0\n", 1, 4, "the file has a control character: U+0000"),
    "Latin-1": ("a: b\nname: caf\xe9\n".encode("latin-1"), 2, 10, "the file is not UTF-8: byte 0xe9"),
    "UTF-16": ("kind: Model\n".encode("utf-16"), 1, 1, "the file is UTF-16, not UTF-8"),
    "UTF-32": ("kind: Model\n".encode("utf-32"), 1, 1, "the file is UTF-32, not UTF-8"),
    "UTF-16 without mark": ("kind: Model\n".encode("utf-16-le"), 1, 2, "the file has a control character: U+0000"),
    "complex key": ("? [a, b]\n: c\n", 1, 3, "a key must be a text"),
}


@pytest.mark.parametrize(("text", "line", "column", "words"), SYNTAX_CASES.values(), ids=SYNTAX_CASES)
def test_what_is_not_a_document_is_reported_at_its_place(text, line, column, words, mistakes):
    found = [each for each in mistakes({"a.yaml": text}) if not each.summary.startswith("missing field")]

    assert [str(each.position) for each in found] == [f"specs/a.yaml:{line}:{column}"]
    assert words in found[0].summary


JSON_CASES = {
    "trailing comma": ('{\n "a": 1,\n}', "Illegal trailing comma|Expecting property name"),
    "single quotes": ("{'a': 1}", "Expecting property name"),
    "NaN": ('{"a":\n  NaN}', "NaN is not a JSON value"),
    "comment": ('{"a": 1} # why', "Extra data"),
    "surrogate": ('{"a": "\\ud800"}', "half of a surrogate pair"),
    "nesting": ("[" * 100_000, "the document is nested more than 64 deep"),
    "digits": ('{"a": ' + "9" * 5000 + "}", "too many digits"),
}


@pytest.mark.parametrize(("text", "words"), JSON_CASES.values(), ids=JSON_CASES)
def test_a_json_file_must_be_json(text, words, mistakes):
    summaries = [each.summary for each in mistakes({"a.json": text})]

    assert any(word in summary for summary in summaries for word in words.split("|"))


def test_places_in_json_are_exact(mistakes):
    found = mistakes({"a.json": '{"apiVersion": "reconciler/v1",\n "kind": "Model", "kind": "Model",\n'
                                ' "metadata": {"name": "m"}, "spec": {"workspace": 7, "x": [1]}}'})  # fmt: skip

    assert [(each.position.line, each.position.column, each.field) for each in found] == [
        (2, 19, ""),
        (3, 51, "spec.workspace"),
        (3, 54, "spec.x"),
    ]


def test_an_alias_bomb_is_refused_before_it_is_written_out(mistakes):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]

    (found,) = mistakes({"bomb.yaml": "\n".join(rows)})

    assert "more than 100,000 values when its aliases are written out" in found.summary
    assert found.position.line == 5


def test_an_alias_stands_for_a_whole_value(valid, load):
    shared = valid.replace("token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: &s {env: BOTH}").replace(
        "connectionString: {env: CONTOSO_STORAGE}", "connectionString: *s"
    )

    spec = load({"fleet.yaml": shared}).workspaces["contoso"].spec

    assert spec.token == spec.storage.connection_string
    assert spec.token.env == "BOTH"


def test_all_six_mistakes_of_a_tree_are_reported_at_once(valid, mistakes):
    files = {
        "a/workspace.yaml": "apiVersion: reconciler/v1\nkind: Workspace\nmetadata: {name: other}\nspec:\n  id: 12\n"
        "  region: x\n  token: {env: A}\n  storage: {connectionString: {env: B}, container: abc}\n",
        "b.json": '{"apiVersion": "reconciler/v1", "kind": "Modell", "metadata": {"name": "m"},\n'
        ' "spec": {"workspace": "contoso"}}',
        "c.yml": "kind: [\n---\napiVersion: reconciler/v1\nkind: Model\nmetadata: {name: n}\n"
        "spec: {workspace: contosso}\n",
        "d.yaml": b"\xff\xfea\0",
        "fleet.yaml": valid.replace("throttleLevel: High", "throttleLevel: Hihg"),
    }

    found = mistakes(files)

    assert [f"{each.position}: {each.summary}" for each in found] == [
        "specs/a/workspace.yaml:5:7: a text is expected here, found 12 (a number)",
        "specs/b.json:1:41: unknown kind 'Modell'",
        "specs/c.yml:2:1: not valid YAML: did not find expected node content",
        "specs/c.yml:6:19: no Workspace is named 'contosso'",
        "specs/d.yaml:1:1: the file is UTF-16, not UTF-8",
        "specs/fleet.yaml:48:18: 'Hihg' is not allowed here",
    ]


def test_a_message_reads_like_a_compiler_s(valid, mistakes):
    (found,) = mistakes({"fleet.yaml": valid.replace("throttleLevel: High", "throttleLevel: Hihg")})

    assert str(found).splitlines() == [
        "specs/fleet.yaml:48:18: spec.throttleLevel: 'Hihg' is not allowed here",
        "    allowed: Low, High",
        "    did you mean 'High'?",
    ]


def test_all_mistakes_of_one_document_are_reported(valid, mistakes):
    spoilt = (
        valid.replace("endpoint: clinica", "endpoint: Clinica")
        .replace("throttleLevel: High\n  maxConcurrentCalls: 20", "throttleLevel: Low\n  maxConcurrentCalls: 20")
        .replace("  workspace: contoso\n  webService", "  workspace: nowhere\n  webServce")
    )

    assert [each.field for each in mistakes({"fleet.yaml": spoilt})] == [
        "spec.workspace",
        "spec.webServce",
        "spec.endpoint",
        "spec.maxConcurrentCalls",
    ]


def test_reading_goes_on_after_each_broken_document(mistakes):
    broken = "kind: [\n"
    text = f"{broken}---\nhello\n---\n{broken}---\n{broken}---\n- a\n"

    assert [each.position.line for each in mistakes({"a.yaml": text})] == [2, 3, 6, 8, 9]


def test_what_a_lost_document_may_have_held_is_not_called_dangling(valid, mistakes):
    spoilt = valid.replace("  id: 3ad1", "  id: [3ad1")

    (found,) = mistakes({"fleet.yaml": spoilt})

    assert "not valid YAML" in found.summary


def test_a_reference_to_a_spoilt_document_is_not_dangling(valid, mistakes):
    (found,) = mistakes({"fleet.yaml": valid.replace("region: South Central US", "region: 7")})

    assert found.field == "spec.region"


def test_many_wrong_references_do_not_take_long_to_explain(mistakes):
    document = "apiVersion: reconciler/v1\nkind: Model\nmetadata: {{name: m{0}}}\nspec: {{workspace: w{0}}}\n"
    found = mistakes({"a.yaml": "---\n".join(document.format(number) for number in range(500))})

    assert len(found) == 500
