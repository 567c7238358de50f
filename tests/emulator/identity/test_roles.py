"""What a principal may do in Azure Resource Manager, and what it is told when it may not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.emulator.arm.roles import Need, allows, need, sees
from reconciler.emulator.config.principals import Principal, RoleAssignment

TENANT = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
CLIENT = "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"
SUBSCRIPTION = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
GROUP = f"{SUBSCRIPTION}/resourceGroups/contoso-ml"
ML = "Microsoft.MachineLearning"
SERVICES = f"{GROUP}/providers/{ML}/webServices"
SERVICE = f"{SERVICES}/BreastCancer"
PLAN = f"{GROUP}/providers/{ML}/commitmentPlans/plan"


@pytest.mark.parametrize(
    ("method", "path", "action", "scope"),
    [
        ("GET", SUBSCRIPTION, "Microsoft.Resources/subscriptions/read", SUBSCRIPTION),
        ("GET", f"{SUBSCRIPTION}/resources", "Microsoft.Resources/subscriptions/resources/read", SUBSCRIPTION),
        (
            "GET",
            f"{SUBSCRIPTION}/resourcegroups",
            "Microsoft.Resources/subscriptions/resourcegroups/read",
            SUBSCRIPTION,
        ),
        ("GET", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP),
        ("HEAD", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP),
        ("PUT", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/write", GROUP),
        ("POST", f"{GROUP}/x", "Microsoft.Resources/subscriptions/resourceGroups/x/action", GROUP),
        ("GET", f"{SUBSCRIPTION}/providers/{ML}/webServices", f"{ML}/webServices/read", SUBSCRIPTION),
        (
            "GET",
            f"{SUBSCRIPTION}/providers",
            "Microsoft.Resources/subscriptions/providers/read",
            SUBSCRIPTION,
        ),
        (
            "GET",
            f"{SUBSCRIPTION}/providers/{ML}",
            "Microsoft.Resources/subscriptions/providers/read",
            SUBSCRIPTION,
        ),
        ("POST", f"{SUBSCRIPTION}/providers/{ML}/register", f"{ML}/register/action", SUBSCRIPTION),
        ("GET", f"{SUBSCRIPTION}/providers/{ML}/skus", f"{ML}/skus/read", SUBSCRIPTION),
        ("GET", SERVICES, f"{ML}/webServices/read", GROUP),
        ("GET", SERVICE, f"{ML}/webServices/read", SERVICE),
        ("GET", f"{SERVICE}/listKeys", f"{ML}/webServices/listKeys/read", SERVICE),
        ("PUT", SERVICE, f"{ML}/webServices/write", SERVICE),
        ("PATCH", f"{SERVICE}/", f"{ML}/webServices/write", SERVICE),
        ("DELETE", SERVICE, f"{ML}/webServices/delete", SERVICE),
        ("POST", f"{SERVICE}/CreateRegionalBlob", f"{ML}/webServices/action", SERVICE),
        ("GET", f"{PLAN}/commitmentAssociations", f"{ML}/commitmentPlans/commitmentAssociations/read", PLAN),
        (
            "POST",
            f"{PLAN}/commitmentAssociations/a/move",
            f"{ML}/commitmentPlans/commitmentAssociations/move/action",
            f"{PLAN}/commitmentAssociations/a",
        ),
    ],
)
def test_a_requests_action_and_scope_follow_from_its_verb_and_path(method, path, action, scope):
    assert need(method, path) == Need(action, scope)


def test_polling_an_operation_needs_no_role():
    assert need("GET", f"{SUBSCRIPTION}/providers/{ML}/locations/southcentralus/operationsStatus/x") is None


def principal(*roles) -> Principal:
    return Principal(tenant_id=TENANT, client_id=CLIENT, roles=tuple(map(RoleAssignment.model_validate, roles)))


READ, WRITE = Need(f"{ML}/webServices/read", SERVICE), Need(f"{ML}/webServices/write", SERVICE)
GRANT = Need("Microsoft.Authorization/roleAssignments/write", SUBSCRIPTION)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("Owner", {"READ", "WRITE", "GRANT"}), ("Contributor", {"READ", "WRITE"}), ("Reader", {"READ"})],
)
def test_built_in_roles_allow_what_they_allow_in_azure(role, allowed):
    someone = principal({"role": role})
    needs = {"READ": READ, "WRITE": WRITE, "GRANT": GRANT}
    assert {name for name, needed in needs.items() if allows(someone, needed)} == allowed


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ("/", True),
        (SUBSCRIPTION, True),
        (f"{GROUP}/", True),
        (GROUP.lower(), True),
        (SERVICE, True),
        (f"{SERVICE}2", False),
        (SERVICE[:-1], False),
        (f"{SUBSCRIPTION}/resourceGroups/contoso", False),
        ("/subscriptions/00000000-0000-0000-0000-000000000000", False),
    ],
)
def test_a_role_reaches_its_scope_and_what_is_below(scope, reached):
    assert allows(principal({"role": "Owner", "scope": scope}), READ) is reached


def test_a_principal_without_roles_may_do_nothing():
    assert not allows(principal(), READ)


@pytest.mark.parametrize(
    ("custom", "allowed"),
    [
        ({"actions": [f"{ML}/webServices/read"]}, {READ}),
        ({"actions": [f"{ML.lower()}/WEBSERVICES/*"]}, {READ, WRITE}),
        ({"actions": ["*/read"]}, {READ}),
        ({"actions": ["*"], "notActions": [f"{ML}/*/write"]}, {READ}),
        ({"actions": [f"{ML}/webServices"]}, set()),
    ],
)
def test_a_custom_role_is_a_list_of_actions_with_stars(custom, allowed):
    assert {needed for needed in (READ, WRITE) if allows(principal(custom), needed)} == allowed


def test_what_one_role_leaves_out_another_may_allow():
    reader = {"actions": ["*"], "notActions": ["*/write"]}
    assert allows(principal(reader, {"role": "Contributor", "scope": GROUP}), WRITE)


@pytest.mark.parametrize(
    ("scope", "seen"), [("/", True), (SUBSCRIPTION, True), (SERVICE, True), ("/subscriptions/other", False)]
)
def test_a_subscription_is_seen_by_whoever_has_a_role_in_it(scope, seen):
    assert sees(principal({"role": "Reader", "scope": scope}), SUBSCRIPTION) is seen


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"role": "Reader", "actions": ["*"]},
        {"role": "Reader", "notActions": ["*"]},
        {"role": "Writer"},
        {"role": "Reader", "scope": "contoso-ml"},
        {"actions": ["a b"]},
    ],
)
def test_a_role_that_says_nothing_clear_is_refused(wrong):
    with pytest.raises(ValidationError):
        RoleAssignment.model_validate(wrong)


# -- on the wire -----------------------------------------------------------------------------------------------------


@pytest.fixture
def as_client(connect, start_studio):
    """Sends requests as a principal with the given roles."""

    async def connected(*roles):
        someone = {"tenantId": TENANT, "clientId": CLIENT, "clientSecretEnv": "SECRET", "roles": list(roles)}
        client = connect(start_studio(principals=[someone], timings={"provisioning": "0s"}))
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": client.context.secrets.client_secret(CLIENT),
            "scope": "https://management.azure.com/.default",
        }
        async with client.session.post(f"{client.url}/{TENANT}/oauth2/v2.0/token", data=form) as reply:
            token = (await reply.json())["access_token"]

        async def send(method, path, body=None, version="2017-01-01"):
            return await client.send(method, path, body, token=token, **{"api-version": version})

        return send

    return connected


async def test_a_reader_reads_and_is_told_what_it_lacks_for_more(as_client):
    send = await as_client({"role": "Reader", "scope": SUBSCRIPTION})
    assert (await send("GET", SERVICE)).status == 200
    assert (await send("GET", f"{SERVICE}/listKeys")).status == 200
    reply = await send("PATCH", SERVICE, {"properties": {"packageType": "Graph"}})
    assert (reply.status, reply.body["error"]["code"]) == (403, "AuthorizationFailed")
    object_id = Principal(tenant_id=TENANT, client_id=CLIENT).object_id
    assert reply.body["error"]["message"] == (
        f"The client '{CLIENT}' with object id '{object_id}' does not have authorization to perform action "
        f"'Microsoft.MachineLearning/webServices/write' over scope '{SERVICE}' or the scope is invalid. If access was "
        "recently granted, please refresh your credentials."
    )
    assert (await send("DELETE", SERVICE)).status == 403


async def test_whether_something_exists_is_told_only_to_those_who_may_see_it(as_client):
    send = await as_client({"role": "Owner", "scope": SERVICE})
    assert (await send("GET", SERVICE)).status == 200
    assert (await send("GET", f"{SERVICES}/Missing")).status == 403
    assert (await send("GET", f"{SUBSCRIPTION}/resourceGroups/missing", version="2021-04-01")).status == 403
    subscriptions = (await send("GET", "/subscriptions", version="2021-01-01")).body["value"]
    assert [each["id"] for each in subscriptions] == [SUBSCRIPTION]


async def test_a_role_on_one_service_is_enough_to_update_it_and_to_see_that_through(as_client):
    actions = [f"{ML}/webServices/read", f"{ML}/webServices/write"]
    send = await as_client({"actions": actions, "scope": SERVICE})
    reply = await send("PATCH", SERVICE, {"properties": {"packageType": "Graph"}})
    assert reply.status == 200
    poll = reply.headers["Azure-AsyncOperation"].partition("?")[0]
    assert (await send("GET", poll)).body["status"] in {"Provisioning", "Succeeded"}
    assert (await send("GET", f"{SERVICE}/listKeys")).status == 403


async def test_who_has_no_role_sees_no_subscription(as_client):
    send = await as_client()
    assert (await send("GET", "/subscriptions", version="2021-01-01")).body["value"] == []
    assert (await send("GET", SUBSCRIPTION, version="2021-01-01")).status == 403


@pytest.mark.parametrize("version", ["2015-07-01", "2022-04-01"])
@pytest.mark.parametrize("scope", [GROUP, SERVICE, SERVICE.lower()])
async def test_a_caller_is_told_what_its_roles_allow_on_a_scope(as_client, scope, version):
    custom = {"actions": [f"{ML}/webServices/*"], "notActions": [f"{ML}/webServices/delete"], "scope": GROUP}
    elsewhere = {"role": "Owner", "scope": f"{SUBSCRIPTION}/resourceGroups/another"}
    send = await as_client(custom, {"role": "Reader", "scope": SUBSCRIPTION}, elsewhere)
    reply = await send("GET", f"{scope}/providers/Microsoft.Authorization/permissions", version=version)
    assert reply.status == 200
    assert reply.body["value"] == [
        {"actions": [f"{ML}/webServices/*"], "notActions": [f"{ML}/webServices/delete"]},
        {"actions": ["*/read"], "notActions": []},
    ]


async def test_a_role_on_one_service_is_told_there_and_not_above(as_client):
    actions = [f"{ML}/webServices/write", "Microsoft.Authorization/permissions/read"]
    send = await as_client({"actions": actions, "scope": SERVICE})
    asked = "providers/Microsoft.Authorization/permissions"
    reply = await send("GET", f"{SERVICE}/{asked}", version="2015-07-01")
    assert reply.body["value"] == [{"actions": actions, "notActions": []}]
    assert (await send("GET", f"{GROUP}/{asked}", version="2015-07-01")).status == 403


async def test_who_may_not_list_permissions_is_refused(as_client):
    send = await as_client({"actions": [f"{ML}/webServices/*"], "scope": GROUP})
    reply = await send("GET", f"{GROUP}/providers/Microsoft.Authorization/permissions", version="2015-07-01")
    assert (reply.status, reply.body["error"]["code"]) == (403, "AuthorizationFailed")
    assert "Microsoft.Authorization/permissions/read" in reply.body["error"]["message"]
