"""The file of ``--faults``, and the body that the control API takes: YAML, of which JSON is a part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from reconciler.emulator.config.yaml_text import read_yaml
from reconciler.emulator.faults.rules import Rule


def _some(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if not rules:
        raise ValueError("the list of rules is empty")
    return rules


class FaultsFileError(Exception):
    """Rules that cannot be used; the message has a line for each error."""


class RuleFile(BaseModel):
    """Rules and the seed of their shares.

    Attributes:
        format_version: changes when an old file would be read wrongly.
        seed: the same seed, rules and requests give the same faults.
        rules: in the order in which they are asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    format_version: Literal["1.0"] = "1.0"
    seed: int = 0
    # Not a least length: pydantic would say that it is not met wherever a rule is wrong.
    rules: Annotated[tuple[Rule, ...], AfterValidator(_some)]


def load_rules(path: Path) -> RuleFile:
    """Read a file of rules.

    Raises:
        FaultsFileError: with every error in the file.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaultsFileError(f"{path}: cannot be read: {error}") from error
    return parse_rules(text, str(path))


def parse_rules(text: str, source: str) -> RuleFile:
    """Read rules from YAML or JSON: a mapping with ``rules``, a list of rules, or one rule.

    Args:
        text: the whole document.
        source: what to call it in messages.

    Raises:
        FaultsFileError: with every error in it.
    """
    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        raise FaultsFileError(f"{source}: is not YAML: {' '.join(str(error).split())}") from error
    if isinstance(content, list):
        content = {"rules": content}
    elif isinstance(content, dict) and "rules" not in content and content.keys() - {"seed", "formatVersion"}:
        content = {"rules": [content]}
    try:
        return RuleFile.model_validate(content)
    except ValidationError as error:
        lines = [
            f"{source}: {_place(problem['loc'], content)}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        raise FaultsFileError("\n".join(lines)) from error


def _place(location: Sequence[Any], content: Any) -> str:
    """Return the place of an error, as ``rules[1] (lost-start).share``."""
    text, here = "", content
    for part in location:
        if not isinstance(here, dict | list):
            break  # What follows are names that pydantic has for the types that it tried.
        here = here[part] if isinstance(part, int) else here.get(part) if isinstance(here, dict) else None
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    if len(location) > 1 and location[0] == "rules":
        rule = content["rules"][location[1]]
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            start = f"rules[{location[1]}]"
            text = f"{start} ({rule['name']}){text.removeprefix(start)}"
    return text or "the document"
