"""The storage key that a New service is given is tried before anything starts, by the plan and by doctor."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.azure.clouds import GERMANY
from reconciler.plan.checks.result import CheckOutcome
from reconciler.plan.document import Action
from reconciler.preflight.doctor import examine
from reconciler.spec.fleet import Fleet
from reconciler.targets.clients import Clients


@pytest.fixture
def refused(desk):
    """A key that the account does not have, in ``OLD_KEY``."""
    desk.environ["OLD_KEY"] = "AAAA" + desk.environ["STORAGE_KEY"][4:]
    return {"account": "contosostore", "key": {"env": "OLD_KEY"}}


async def storage_checks(desk, **services):
    fleet = desk.write(**services)
    checks = await examine(fleet, desk.cloud, desk.secrets, lambda: datetime.now(UTC))
    return {each.subject: each for each in checks if each.name == "storage"}


async def test_a_service_is_not_created_with_a_key_that_its_account_refuses(desk, refused):
    await desk.export()
    services = {"wrong": desk.service("Wrong", storage=refused), "right": desk.service("Right")}

    plan = await desk.plan(**services)

    (blocked,) = plan.blocked
    assert (blocked.name, ["right"]) == ("wrong", [each.name for each in plan.changes])
    told = blocked.reasons[0].text
    assert f"{desk.base} refuses the key in env OLD_KEY (403 AuthenticationFailed)" in told
    assert blocked.remedy == (
        "Put the current account key into env OLD_KEY (used by spec.storage.key of NewWebService wrong)"
    )
    assert (await desk.plan(**services)).digest == plan.digest
    checks = await storage_checks(desk, **services)
    assert (
        checks["storage account contosostore (spec.storage.key of NewWebService wrong)"].outcome is CheckOutcome.FAILED
    )
    assert checks["storage account contosostore (spec.storage.key of NewWebService right)"].outcome is CheckOutcome.OK
    assert desk.environ["OLD_KEY"] not in plan.model_dump_json() + repr(checks)


async def test_a_service_is_not_given_another_key_that_its_account_refuses(desk, refused):
    await desk.export()
    service = desk.service("Rotated")
    report = await desk.converge(rotated=service)
    assert report.verdict.value == "converged", report.outcomes
    desk.environ["STORAGE_KEY"] = desk.environ["OLD_KEY"]

    (blocked,) = (await desk.plan(rotated=service)).blocked

    assert "refuses the key in env STORAGE_KEY" in blocked.reasons[0].text


async def test_nothing_is_asked_of_storage_where_nothing_is_to_be_done(desk):
    await desk.export()
    service = desk.service("Quiet")
    await desk.converge(quiet=service)
    plan = await desk.plan(quiet=service)
    assert (plan.pending, plan.preflight.checks) == (False, ())


async def test_an_account_that_can_not_be_asked_is_a_warning_and_stops_nothing(desk):
    await desk.export()
    plan = await desk.plan(
        elsewhere=desk.service("Elsewhere", storage={"account": "elsewhere1", "key": {"env": "STORAGE_KEY"}})
    )
    assert next(step.action for step in plan.steps) is Action.CREATE
    (told,) = [each for each in plan.preflight.checks if each.name == "storage" and "elsewhere1" in each.subject]
    assert told.outcome is CheckOutcome.WARNING


async def test_a_secret_that_can_not_be_had_is_told_by_doctor(desk):
    fleet = desk.write(mine=desk.service("Mine", definition=None, storage={"account": "a1", "key": {"env": "NOWHERE"}}))
    checks = await examine(fleet, desk.cloud, desk.secrets, lambda: datetime.now(UTC))
    (told,) = [each for each in checks if each.subject == "NewWebService mine"]
    assert (told.name, told.outcome) == ("secret-missing", CheckOutcome.FAILED)
    assert "NOWHERE" in told.text


async def test_where_an_account_is_is_known_from_a_workspace_or_else_from_the_cloud(desk):
    fleet = desk.write()
    async with Clients(fleet, desk.cloud, desk.secrets) as clients:
        assert await clients.account_url("contosostore") == desk.base
        assert await clients.account_url("other") == desk.base.replace("contosostore", "other")
    async with Clients(Fleet.empty(), GERMANY, desk.secrets) as clients:
        assert await clients.account_url("contosostore") == "https://contosostore.blob.core.cloudapi.de/"
