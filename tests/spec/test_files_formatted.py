"""`reconcile fmt` on files: what is written, what is left alone, and what is said."""

import resource
from pathlib import Path

import pytest

from reconciler.cli.commands.specs import fmt
from reconciler.cli.exit_codes import ExitCode
from tests.support.fleets import load_fleet

VALID = Path(__file__).with_name("valid_fleet.yaml").read_text()
MESSY = VALID.replace("  id:", "  # the id\n  'id':").replace(
    "metadata: {name: contoso}", 'metadata: {"name": contoso}'
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    return tmp_path / "specs"


def test_files_are_rewritten_and_named_and_the_fleet_is_the_same(tree, capsys):
    (tree / "messy.yaml").write_text(MESSY)
    before = load_fleet([tree])
    assert fmt([], check=False, diff=False) is ExitCode.OK
    assert "specs/messy.yaml\n" == capsys.readouterr().out
    assert before == load_fleet([tree])
    assert "  # the id\n  id: " in (tree / "messy.yaml").read_text()
    assert fmt([], check=False, diff=False) is ExitCode.OK
    assert "" == capsys.readouterr().out


def test_check_names_what_would_change_and_changes_nothing(tree, capsys):
    (tree / "messy.yaml").write_text(MESSY)
    assert fmt([], check=True, diff=False) is ExitCode.ERROR
    assert "specs/messy.yaml\n" == capsys.readouterr().out
    assert MESSY == (tree / "messy.yaml").read_text()
    fmt([], check=False, diff=False)
    assert fmt([], check=True, diff=False) is ExitCode.OK


def test_diff_shows_what_would_change_and_changes_nothing(tree, capsys):
    (tree / "messy.yaml").write_text(MESSY)
    assert fmt([], check=False, diff=True) is ExitCode.OK
    assert "-  'id': 3ad1c2b4e5f60718293a4b5c6d7e8f90\n+  id: 3ad1c2b4" in capsys.readouterr().out
    assert MESSY == (tree / "messy.yaml").read_text()
    assert fmt([], check=True, diff=True) is ExitCode.ERROR


def test_a_file_with_mistakes_is_left_alone_and_the_others_are_not(tree, capsys):
    wrong = MESSY.replace("throttleLevel: High", "throttleLevel: Higher")
    (tree / "wrong.yaml").write_text(wrong)
    (tree / "messy.yaml").write_text(MESSY)
    assert fmt([], check=False, diff=False) is ExitCode.ERROR
    said = capsys.readouterr()
    assert "specs/messy.yaml\n" == said.out
    assert "specs/wrong.yaml:49:18: spec.throttleLevel: 'Higher' is not allowed here" in said.err
    assert wrong == (tree / "wrong.yaml").read_text()


def test_a_file_alone_need_not_hold_what_it_refers_to(tree):
    (tree / "one.yaml").write_text(MESSY.partition("---\n")[2])
    assert fmt([tree / "one.yaml"], check=False, diff=False) is ExitCode.OK


def test_the_mode_is_kept_a_link_is_followed_and_nothing_is_left_lying_about(tree, tmp_path):
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(MESSY)
    elsewhere.chmod(0o640)
    (tree / "link.yaml").symlink_to(elsewhere)
    fmt([], check=False, diff=False)
    assert (tree / "link.yaml").is_symlink()
    assert MESSY != elsewhere.read_text()
    assert 0o640 == elsewhere.stat().st_mode & 0o777
    assert {"elsewhere.yaml", "specs"} == {each.name for each in tmp_path.iterdir()}


def test_a_file_that_cannot_be_written_is_said_and_stays_as_it_was(tree, capsys):
    """Where files may have no more than a few bytes, for permissions do not bind root."""
    (tree / "messy.yaml").write_text(MESSY)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(MESSY) // 2, usual[1]))
    try:
        assert fmt([], check=False, diff=False) is ExitCode.ERROR
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "specs/messy.yaml: cannot be written: File too large" in capsys.readouterr().err
    assert MESSY == (tree / "messy.yaml").read_text()
    assert ["messy.yaml"] == [each.name for each in tree.iterdir()]


def test_what_can_not_be_said_in_canonical_form_is_left_as_it_is(tree, capsys):
    """YAML has no form for so long a key on the line of its value."""
    text = VALID.replace("{name: contoso}", f"\n  name: contoso\n  labels:\n    ? {'k' * 2000}\n    : v")
    (tree / "long.yaml").write_text(text)
    assert fmt([], check=False, diff=False) is ExitCode.ERROR
    assert "specs/long.yaml: the formatted file would have another meaning" in capsys.readouterr().err
    assert text == (tree / "long.yaml").read_text()


def test_a_byte_order_mark_goes(tree):
    (tree / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + VALID.encode())
    assert fmt([], check=False, diff=False) is ExitCode.OK
    assert (tree / "bom.yaml").read_bytes().startswith(b"apiVersion")


def test_a_path_that_is_not_there_is_a_mistake(tree, capsys):
    assert fmt([tree / "nowhere.yaml"], check=True, diff=False) is ExitCode.ERROR
    assert "no such file or directory" in capsys.readouterr().err
