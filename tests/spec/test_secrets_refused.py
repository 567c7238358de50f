"""A secret in a spec is refused wherever it stands, and no message repeats it."""

import pytest

from reconciler.spec.secret_detection import looks_secret

KEY = "sbKJ8hqz1mZ0uVfW3rX9aTgY6cLpNdE2oQi5RwB7kHsMxU4jCvGyAeStDlFnPbIz0zO8q1r2s3t4u5v6w7x8yA=="
SECRETS = {
    "connection string": f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={KEY}",
    "short account key": "AccountKey=aGVsbG8h",
    "SAS": "?sv=2020-08-04&sr=c&sig=aGVsbG8gd29ybGQ%3D&se=2026-12-01&sp=rl",
    "URL with SAS": "https://contoso.blob.core.windows.net/c/a.csv?sv=2020&sig=aGVsbG8gd29y",
    "bearer token": "Bearer eyJ0eXAiOiJKV1QiLCJhbGciOi",
    "service key": KEY,
    "unpadded key": KEY.rstrip("="),
    "JSON web token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2lnbmF0dXJl",
    "database password": "Server=tcp:contoso;User=joe;Password=hunter22hunter",
    "URL with password": "https://joe:hunter22hunter@contoso.com/a.csv",
}
PLACES = {
    "where a secret is wanted": ("token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: {!r}"),
    "as a variable's name": ("token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: {{env: {!r}}}"),
    "as a secret's name in a vault": (
        "token: {env: CONTOSO_WORKSPACE_TOKEN}",
        "token: {{keyVault: {{vault: contoso, secret: {!r}}}}}",
    ),
    "as a file's name": ("token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: {{file: {!r}}}"),
    "in a parameter": ("parameters: {Rounds: 20}", "parameters: {{Rounds: {!r}}}"),
    "as a parameter's name": ("parameters: {Rounds: 20}", "parameters: {{{!r}: 20}}"),
    "in an input": ('{file: "data/breast-cancer-{version}.csv"}', "{{url: {!r}}}"),
    "in a description": ("description: Clinic A", "description: {!r}"),
    "in place of a setting": ("throttleLevel: High", "throttleLevel: {!r}"),
    "in an unknown field": ("  description: Clinic A", "  descripton: {!r}"),
    "as an unknown field": ("  description: Clinic A", "  {!r}: Clinic A"),
    "twice as a key": ("description: Clinic A", "description: {{{0!r}: 1, {0!r}: 2}}"),
    "as the kind": ("kind: Workspace", "kind: {!r}"),
    "in a label": ("{region: emea}", "{{region: {!r}}}"),
    "in a reference": ("name: breast-cancer, version", "name: {!r}, version"),
    "as the whole document": ("apiVersion: reconciler/v1\nkind: Workspace", "--- {!r}\n---\nkind: Workspace"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_refused_and_not_repeated(secret, place, valid, mistakes):
    right, wrong = place

    found = mistakes({"fleet.yaml": valid.replace(right, wrong.format(secret))})

    assert any(each.summary.startswith("a literal secret") for each in found)
    printed = "\n".join(map(str, found))
    assert secret not in printed
    # Nor a good part of it.
    assert not any(secret[begin : begin + 12] in printed for begin in range(0, len(secret) - 12, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        "hunter2",
        "12345",
        "[hunter2]",
        "{env: hunter2!}",
        "{env: 12345}",
        "{file: 12345}",
        "{env: [12345]}",
        "{keyVault: hunter2}",
        "{keyVault: 12345}",
        "{keyVault: {vault: hunter2!, secret: token}}",
        "{keyVault: {vault: contoso, secret: hunter2!}}",
        "{keyVault: {vault: contoso, secret: 12345}}",
        "{keyVault: {vault: contoso, secret: token, version: hunter2}}",
    ],
)
def test_nothing_that_stands_where_a_secret_belongs_is_repeated(wrong, valid, mistakes):
    found = mistakes({"fleet.yaml": valid.replace("token: {env: CONTOSO_WORKSPACE_TOKEN}", f"token: {wrong}")})

    printed = "\n".join(map(str, found))
    assert "hunter2" not in printed
    assert "12345" not in printed


def test_a_workspace_token_does_not_pass_for_a_variable_s_name(valid, mistakes):
    token = "ab1c2b4e5f60718293a4b5c6d7e8f901"

    (found,) = mistakes({"fleet.yaml": valid.replace("CONTOSO_WORKSPACE_TOKEN", token)})

    assert found.summary == "not the name of an environment variable"
    assert token not in str(found)


def test_a_workspace_token_does_not_pass_for_a_secret_s_name_in_a_vault(valid, mistakes):
    token = "ab1c2b4e5f60718293a4b5c6d7e8f901"
    wrong = f"{{keyVault: {{vault: contoso-vault, secret: {token}}}}}"

    (found,) = mistakes({"fleet.yaml": valid.replace("{env: CONTOSO_WORKSPACE_TOKEN}", wrong)})

    assert found.summary == "not the name of a secret"
    assert token not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "3ad1c2b4e5f60718293a4b5c6d7e8f90",
        "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "/resourceGroups/g/providers/Microsoft.MachineLearning/webServices/BreastCancerService2026ForClinicsInEurope3",
        "BreastCancerPredictiveExperimentWithManyFeaturesVersion2026Of10",
        "models/breast-cancer/2026-10/9f86d081884c7d659a2feaa0c55ad015.ilearner",
        "Bearer of good news since 1912",
        "the design=final version of the keyboard",
        "Breast Cancer [trained model]",
        "https://contoso.blob.core.windows.net/datasets/breast-cancer-2026-10.csv?raw=true",
        "CONTOSO_SOUTH_CENTRAL_US_WORKSPACE_AUTHORIZATION_TOKEN_2",
    ],
)
def test_ordinary_texts_do_not_pass_for_secrets(text):
    assert not looks_secret(text)
