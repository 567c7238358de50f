"""What README.md names exists: commands, options, exit codes and fields of specs."""

import re
import subprocess
import sys
from pathlib import Path

from reconciler.cli.exit_codes import ExitCode
from tests.support.fleets import load_fleet

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OTHERS = {"--quiet", "--editable", "--numprocesses", "--studio-profile"}
"""Options of pip and pytest."""


def help_of(*command):
    arguments = [sys.executable, "-m", "reconciler.cli", *command, "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def test_each_option_and_command_exists():
    overview = help_of()
    commands = re.findall(r"^  ([a-z]+)  ", overview.partition("Commands:")[2], re.MULTILINE)
    texts = "".join([overview, *(help_of(command) for command in commands)])
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) - OTHERS
    assert set() == named - set(re.findall(r"--[a-z-]+", texts))
    assert set() == set(re.findall(r"`reconcile ([a-z]+)", README)) - set(commands)
    table = README.partition("| command | does |")[2].partition("\n\n")[0]
    assert set() == set(commands) - set(re.findall(r"[a-z]+", table))


def test_each_exit_code_is_explained():
    table = README.partition("| exit code | means |")[2].partition("\n\n")[0]
    assert [code.value for code in ExitCode] == [int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)]


def test_the_example_specs_are_valid(tmp_path):
    first, set_of_models, *_ = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "fleet.yaml").write_text(f"{first}---\n{set_of_models}")
    (tmp_path / "locations.csv").write_text("location\n001\n007\n")
    fleet = load_fleet((tmp_path,))
    assert {"clinic-a", "bike-rental-001", "bike-rental-007"} == {target.name for target in fleet.targets}
