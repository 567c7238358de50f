"""However deep a file is nested that a user hands over, it is read or refused in words; nothing runs out of stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.azure.clouds import load_cloud
from reconciler.azure.errors import CloudError
from reconciler.bounded_json import DEEPEST, NestedTooDeep, check_depth, read_json
from reconciler.emulator.config.studio_file import StudioFileError, load_studio
from reconciler.emulator.faults.rule_file import FaultsFileError, load_rules
from reconciler.plan.document import Action, CostClass, PatchOperation, Plan, Step, VersionPlan
from reconciler.plan.errors import SavedPlanError
from reconciler.plan.saved import load_plan
from reconciler.spec.diagnostics import SpecErrors
from reconciler.targets.new_service.definition.file import DefinitionFileError, read_definition
from tests.support.fleets import load_fleet

# Around the limits of this program, of pydantic (255) and of the interpreter (1000), and where a C stack ends.
DEPTHS = (130, 250, 260, 900, 980, 1010, 5_000, 200_000)
BRACKETS = {"lists": ("[", "]"), "mappings": ('{"a":', "}"), "both": ('[{"a":', "}]")}


@pytest.fixture(params=BRACKETS)
def nested(request):
    opened, closed = BRACKETS[request.param]
    return lambda depth: opened * depth + "1" + closed * depth


def fleet(path):
    return load_fleet([path])


def plan(path):
    return load_plan(path.read_text())


READERS = {
    "spec.json": (fleet, SpecErrors, '{"apiVersion": "reconciler/v1", "kind": "Model", "spec": %s}'),
    "spec.yaml": (fleet, SpecErrors, '{"apiVersion": "reconciler/v1", "kind": "Model", "spec": %s}'),
    "cloud.json": (load_cloud, CloudError, '{"formatVersion": "1.0", "signIn": %s}'),
    "plan.json": (plan, SavedPlanError, '{"format_version": "1.0", "versions": %s}'),
    "definition.json": (read_definition, DefinitionFileError, '{"properties": {"title": %s}}'),
    "studio.yaml": (load_studio, StudioFileError, '{"workspaces": %s}'),
    "faults.yaml": (load_rules, FaultsFileError, '{"rules": %s}'),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_file_that_is_nested_too_deep_is_refused_with_the_limit(name, depth, nested, tmp_path):
    read, refused, around = READERS[name]
    path = tmp_path / name
    path.write_text(around % nested(depth))

    # A libyaml with a limit of its own, 1000, reads ahead and says so first.
    with pytest.raises(refused, match=r"nested more than (64|128) deep|exceeded maximum nesting depth"):
        read(path)


def test_the_place_is_that_of_the_first_value_that_is_too_deep():
    text = '["[[[\\"[[", {"[": [1]},\n {"a": [\n  [1]]}]'
    assert json.loads(text) == read_json(text, deepest=4)

    with pytest.raises(NestedTooDeep, match=r"^line 3, column 3: nested more than 3 deep$"):
        read_json(text, deepest=3)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_text_is_as_deep_as_its_value(value):
    def depth(part):
        inner = part.values() if isinstance(part, dict) else part
        return 1 + max(map(depth, inner), default=0) if isinstance(part, dict | list) else 0

    text = json.dumps(value)
    check_depth(text, depth(value))
    assert value == read_json(text, deepest=depth(value))
    if depth(value):
        with pytest.raises(NestedTooDeep):
            check_depth(text, depth(value) - 1)


def test_a_stack_that_is_full_is_not_said_to_be_the_fault_of_a_text():
    def fill():
        try:
            fill()
        except RecursionError:
            # Again in every frame on the way back, until there is room for it.
            assert read_json("[" * 30 + "]" * 30)

    fill()


def test_a_plan_may_hold_a_value_of_a_definition_that_is_as_deep_as_it_may_be():
    value = json.loads("[" * DEEPEST + "]" * DEEPEST)
    step = Step(id="s", action=Action.REPOINT, subject="t", cost=CostClass.REPOINT)
    step = step.model_copy(update={"patch": (PatchOperation(op="add", path="/properties/a", value=value),)})
    version = VersionPlan(model="m", label="1", fingerprint=None, location=None, usable=False, steps=(step,))
    made = Plan(created_at=datetime.now(UTC), cloud="c", spec_revision="r", versions=(version,)).sealed()

    assert made == load_plan(made.model_dump_json())
