"""Profiles: what each setting is in them, and that the README says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.config.profiles import (
    PROFILES,
    UnknownProfile,
    allowed,
    check_profile,
    has_profiles,
    table,
    values_of,
)
from reconciler.emulator.config.settings import Timings
from reconciler.emulator.config.studio_file import load_studio

ROOT = Path(__file__).parents[3]
MODELS = {"behaviour": Behaviour, "timings": Timings}
SETTINGS = [
    (model, name) for model in MODELS.values() for name, field in model.model_fields.items() if has_profiles(field)
]


def test_the_readme_has_every_setting_with_its_values() -> None:
    """The whole table is made by `table`; a setting that changes makes this fail with the table to paste."""
    section = (
        (ROOT / "reconciler/emulator/README.md").read_text("utf-8").partition("## Profiles")[2].partition("\n## ")[0]
    )
    written = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert table(MODELS) == written


@pytest.mark.parametrize(("model", "name"), SETTINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_setting_says_why_it_is_one_and_is_valid_in_every_profile(model: Any, name: str) -> None:
    field = model.model_fields[name]
    assert (field.description or "").endswith(".")
    profiles = (*PROFILES, *(f"random:{seed}" for seed in range(20)))
    values = [values_of(model, profile)[field.alias] for profile in profiles]
    for value in {*values, *allowed(field)}:
        assert getattr(model.model_validate({field.alias: value}), name) == value
    assert values[0] == field.default
    # Otherwise nobody would ever meet the other ways.
    assert len(set(values)) > 1


def test_documented_is_the_default_and_says_nothing_new() -> None:
    assert load_studio(None) == load_studio(None, "documented")
    assert load_studio(None).behaviour == Behaviour()


def test_a_seed_draws_the_same_each_time_and_another_seed_draws_others() -> None:
    one, again, other = (load_studio(None, f"random:{seed}").behaviour for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_the_option_overrides_the_files_profile_and_neither_its_single_settings(tmp_path: Path) -> None:
    text = (ROOT / "reconciler/emulator/config/default_studio.yaml").read_text("utf-8")
    file = tmp_path / "studio.yaml"
    file.write_text(
        text.replace("profile: documented", "profile: hostile")
        .replace("behaviour: {}", "behaviour: {startStatus: 204}")
        .replace("timings:\n", "timings:\n  patchTakesEffect: 9s\n")
    )
    hostile, terse = load_studio(file), load_studio(file, "terse")
    assert (hostile.behaviour.status_codes, terse.behaviour.status_codes) == ("numericStrings", "numbers")
    for studio in (hostile, terse):
        assert studio.behaviour.start_status == 204
        assert studio.timings.patch_takes_effect.total_seconds() == 9


@pytest.mark.parametrize(
    ("name", "hint"), [("hostil", "did you mean hostile?"), ("random", "did you mean random:SEED?"), ("x", "terse")]
)
def test_an_unknown_profile_is_an_error_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(UnknownProfile, match=r"documented, terse, hostile and random:SEED") as caught:
        check_profile(name)
    assert hint in str(caught.value)
