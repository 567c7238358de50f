"""The built-in clouds and cloud files."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from reconciler.azure.clouds import GERMANY, PUBLIC, is_loopback, load_cloud
from reconciler.azure.errors import CloudError

CONTENT: dict[str, Any] = {
    "formatVersion": "1.0",
    "name": "local",
    "managementUrl": "http://127.0.0.1:7001/",
    "resourceManagerUrl": "https://127.0.0.1:7002/",
    "audience": "https://management.azure.com/",
    "signIn": {
        "authority": "https://127.0.0.1:7002",
        "tenantId": "t-1",
        "clientId": {"env": "AZURE_CLIENT_ID"},
        "clientSecret": {"env": "AZURE_CLIENT_SECRET"},
    },
    "envFile": "emulator.env",
    "settleSeconds": 3,
    "pollSeconds": 0.2,
}


@pytest.fixture
def write(tmp_path):
    def written(content: Any) -> Any:
        path = tmp_path / "cloud.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return written


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("South Central US", "https://management.azureml.net"),
        ("south central us", "https://management.azureml.net"),
        ("southcentralus", "https://management.azureml.net"),
        ("West Europe", "https://europewest.management.azureml.net"),
        ("Southeast Asia", "https://asiasoutheast.management.azureml.net"),
        ("Japan East", "https://japaneast.management.azureml.net"),
        ("West Central US", "https://uswestcentral.management.azureml.net"),
    ],
)
def test_a_region_of_the_public_cloud_has_its_management_host(region, url):
    """classic-protocol 1.1"""
    assert PUBLIC.management_url(region) == url


def test_germany_is_a_cloud_of_its_own():
    assert load_cloud("germany") is GERMANY
    assert GERMANY.management_url("Germany Central") == "https://germanycentral.management.azureml.de"


def test_a_storage_account_is_found_by_its_name_in_each_cloud(write):
    assert PUBLIC.storage_url("store1") == "https://store1.blob.core.windows.net/"
    assert GERMANY.storage_url("store1") == "https://store1.blob.core.cloudapi.de/"
    assert load_cloud(write(CONTENT)).storage_url("store1") == PUBLIC.storage_url("store1")
    own = load_cloud(write(CONTENT | {"storageUrl": "http://127.0.0.1:7001/{name}/"}))
    assert own.storage_url("store1") == "http://127.0.0.1:7001/store1/"


@pytest.mark.parametrize("template", ["http://{name}.example", "https://example", "https://{name}.{name}.example", 7])
def test_a_storage_address_that_can_not_be_one_is_refused(write, template):
    with pytest.raises(CloudError, match="storageUrl"):
        load_cloud(write(CONTENT | {"storageUrl": template}))


@pytest.mark.parametrize("account", ["", "evil.example/", "a@b", "Store"])
def test_what_is_no_account_leads_to_no_host(account):
    with pytest.raises(CloudError, match="not the name of a storage account"):
        PUBLIC.storage_url(account)


def test_an_unknown_region_is_refused_with_the_nearest_and_all_known_ones():
    with pytest.raises(
        CloudError, match=r"no region 'West Eurpe', did you mean 'West Europe'\? it has South Central US, "
    ):
        PUBLIC.management_url("West Eurpe")


def test_a_cloud_file_is_read(write):
    path = write(CONTENT)

    cloud = load_cloud(path)

    assert cloud.name == "local"
    assert cloud.management_url("anywhere") == "http://127.0.0.1:7001"
    assert cloud.resource_manager_url == "https://127.0.0.1:7002"
    assert cloud.scope == "https://management.azure.com/.default"
    assert (cloud.authority, cloud.tenant_id) == ("https://127.0.0.1:7002", "t-1")
    assert (cloud.client_id_env, cloud.client_secret_env) == ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    assert cloud.env_file == path.parent / "emulator.env"
    assert (cloud.settle, cloud.poll) == (timedelta(seconds=3), timedelta(seconds=0.2))
    assert cloud.allow_http


def test_a_certificate_authority_is_named_relative_to_the_cloud_file(write, ca_file):
    cloud = load_cloud(write(CONTENT | {"caFile": ca_file.name}))

    assert cloud.ca_file == ca_file


def test_an_authority_without_a_client_leaves_it_to_the_default_chain(write):
    cloud = load_cloud(write(CONTENT | {"signIn": {"authority": "https://login.chinacloudapi.cn/"}}))

    assert (cloud.authority, cloud.tenant_id, cloud.client_id_env) == ("https://login.chinacloudapi.cn", None, None)


def test_members_of_a_later_minor_version_are_ignored(write):
    assert load_cloud(write(CONTENT | {"formatVersion": "1.7", "later": 1})).name == "local"


def test_a_cloud_file_may_name_a_management_host_for_each_region(write):
    content = {name: value for name, value in CONTENT.items() if name != "managementUrl"}
    regions = {"South Central US": "https://us.example/", "West Europe": "http://127.0.0.1:7001"}

    cloud = load_cloud(write(content | {"regions": regions}))

    assert cloud.management_url("southcentralus") == "https://us.example"
    assert cloud.other_regions("south central us") == {"West Europe": "http://127.0.0.1:7001"}
    assert cloud.allow_http is True
    with pytest.raises(CloudError, match="it has South Central US, West Europe"):
        cloud.management_url("Narnia")


def test_without_sign_in_and_paces_the_real_ones_hold(write):
    content = {
        name: value
        for name, value in CONTENT.items()
        if name not in {"signIn", "settleSeconds", "pollSeconds", "envFile"}
    }

    cloud = load_cloud(write(content))

    assert (cloud.authority, cloud.tenant_id, cloud.ca_file) == (PUBLIC.authority, None, None)
    assert cloud.env_file is None
    assert (cloud.settle, cloud.poll) == (timedelta(seconds=30), timedelta(seconds=5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"formatVersion": "2.0"}, "formatVersion is '2.0'; this version of reconciler reads 1.x"),
        ({"formatVersion": None}, "formatVersion is missing"),
        ({"name": 7}, "name must be a text"),
        ({"managementUrl": None}, "managementUrl is missing"),
        ({"regions": {"West Europe": "https://x"}}, "regions and managementUrl exclude each other"),
        ({"managementUrl": None, "regions": {"West Europe": "http://x"}}, "regions.West Europe uses http on 'x'"),
        ({"managementUrl": None, "regions": {}}, "regions must be an object with a URL for each region"),
        ({"managementUrl": "ftp://x"}, "managementUrl must be an http or https URL"),
        ({"managementUrl": "http://studio.example"}, "managementUrl uses http on 'studio.example'"),
        ({"resourceManagerUrl": "http://10.0.0.1"}, "resourceManagerUrl uses http on '10.0.0.1'"),
        ({"resourceManagerUrl": "https://u:p@host"}, "resourceManagerUrl must not have credentials or a query"),
        ({"resourceManagerUrl": "https://[x"}, "resourceManagerUrl is not a URL"),
        ({"settleSeconds": -1}, "settleSeconds must be a number of seconds"),
        ({"pollSeconds": True}, "pollSeconds must be a number of seconds"),
        ({"signIn": 1}, "signIn must be an object"),
        ({"signIn": CONTENT["signIn"] | {"clientSecret": "literal"}}, 'signIn.clientSecret must be {"env": "NAME"}'),
        ({"signIn": {"authority": "http://login.example/x"}}, "signIn.authority uses http"),
        ({"signIn": {"authority": "http://127.0.0.1:7001"}}, "signIn.authority must be an https URL"),
        ({"signIn": {"tenantId": "t-1"}}, "signIn.authority is missing"),
        ({"signIn": {"authority": "https://login.example", "tenantId": "t-1"}}, "signIn.clientId must be"),
        ({"caFile": "ca.pem"}, "ca.pem, which does not exist"),
        ({"caFile": "cloud.json"}, "cloud.json, which is not a certificate in PEM"),
        ({"caFile": 1}, "caFile must be a text"),
    ],
)
def test_a_wrong_member_of_a_cloud_file_is_named(write, change, words):
    with pytest.raises(CloudError) as raised:
        load_cloud(write(CONTENT | change))

    assert words in str(raised.value)
    assert "cloud.json" in str(raised.value)


def test_a_literal_secret_in_a_cloud_file_is_not_repeated(write):
    with pytest.raises(CloudError) as raised:
        load_cloud(write(CONTENT | {"signIn": CONTENT["signIn"] | {"clientSecret": "pa55word"}}))

    assert "pa55word" not in str(raised.value)


@pytest.mark.parametrize(("text", "words"), [("{\n x", "is not JSON: line 2"), ("[]", "must be a JSON object")])
def test_a_file_of_another_kind_is_no_cloud_file(write, text, words):
    with pytest.raises(CloudError, match=words):
        load_cloud(write(text))


def test_a_file_that_is_no_text_is_no_cloud_file(tmp_path):
    path = tmp_path / "cloud.json"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(CloudError, match="cannot be read"):
        load_cloud(path)


def test_a_missing_file_is_said_to_be_missing_with_what_is_built_in():
    with pytest.raises(
        CloudError, match=r"no cloud file 'publc'; did you mean 'public'.*built-in clouds: 'public' and 'germany'"
    ):
        load_cloud("publc")


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("LocalHost", True),
        ("127.9.9.9", True),
        ("10.0.0.1", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_spelling(host, is_own):
    assert is_loopback(host) is is_own


# -- Key Vaults


@pytest.mark.parametrize(
    ("cloud", "vault", "url"),
    [
        (PUBLIC, "Contoso-Vault", "https://contoso-vault.vault.azure.net"),
        (PUBLIC, "https://contoso.vault.azure.net", "https://contoso.vault.azure.net"),
        (PUBLIC, "https://Contoso.vault.azure.net:443/", "https://contoso.vault.azure.net"),
        (GERMANY, "contoso", "https://contoso.vault.microsoftazure.de"),
    ],
)
def test_a_vault_is_found_by_its_name_or_its_url(cloud, vault, url):
    assert cloud.key_vault_url(vault) == url


@pytest.mark.parametrize(
    "vault",
    [
        "https://contoso.vault.microsoftazure.de",
        "https://contoso.vault.azure.net.evil.example",
        "https://evil.example/contoso.vault.azure.net",
        "https://evil.example\\.vault.azure.net",
        "https://a.b.vault.azure.net",
        "https://contoso.vault.azure.net:8443",
        "http://contoso.vault.azure.net",
    ],
)
def test_a_url_that_is_no_vault_of_the_cloud_is_refused(vault):
    """Else a spec could have a token sent to any host."""
    with pytest.raises(CloudError, match=r"is not a Key Vault of cloud 'public', whose vaults are https://NAME\.vault"):
        PUBLIC.key_vault_url(vault)


def test_a_cloud_file_says_where_vaults_are(write):
    cloud = load_cloud(write({**CONTENT, "keyVaultUrl": "https://{name}.vault.localhost:7002/"}))

    assert cloud.key_vault_url("contoso") == "https://contoso.vault.localhost:7002"
    assert cloud.key_vault_url("https://contoso.vault.localhost:7002") == "https://contoso.vault.localhost:7002"


def test_a_cloud_file_that_does_not_say_so_has_no_vaults(write):
    cloud = load_cloud(write(CONTENT))

    for vault in ("contoso", "https://contoso.vault.azure.net"):
        with pytest.raises(CloudError, match=r"cloud 'local' has no Key Vault URL\. Add keyVaultUrl"):
            cloud.key_vault_url(vault)


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso.vault.azure.net",
        "https://{name}",
        "https://vault.azure.net/{name}",
        "https://{name}.{name}.net",
        "http://{name}.vault.azure.net",
        "https://{name}.vault.azure.net/secrets",
        "{name}",
        5,
    ],
)
def test_an_address_of_vaults_that_can_not_be_one_is_named(write, url):
    with pytest.raises(CloudError, match="keyVaultUrl"):
        load_cloud(write({**CONTENT, "keyVaultUrl": url}))
