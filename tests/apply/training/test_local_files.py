"""Local training data: checked before anything is sent, told apart by content, joined without being in memory whole."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from reconciler.apply.training.local_files import LocalData, RecipeError, read_local_data


def write(base: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = base / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def content_of(data: LocalData) -> bytes:
    with data.content().open() as stream:
        return stream.read()


def refusal(base: Path, given: str) -> str:
    with pytest.raises(RecipeError) as raised:
        read_local_data(base, given)
    assert str(base) in str(raised.value), "it names the place"
    return f"[{raised.value.problem.code}] {raised.value} -> {raised.value.problem.remedy}".replace(f"{base}/", "")


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xef\xbb\xbfa,b\r\n1,2", b'"a\nb",c\n1,2\n', b'5" pipe,b\n1,2\n'])
def test_a_file_is_taken_as_it_is(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, x_csv=content)

    data = read_local_data(tmp_path, "x.csv")

    assert content_of(data) == content
    assert (data.size, data.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert data.suffix == ".csv"


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("x_csv", 'a,"b, c"\n1,2\n', ("a", "b, c")),
        ("x_tsv", "a\tb, c\n1\t2\n", ("a", "b, c")),
        ("x_csv", '"two\nlines",b\n1,2\n', ("two\nlines", "b")),
        ("x_csv", "näme,b\n1,2\n".encode("latin-1"), None),
        ("x_arff", "@relation r\n", None),
        ("x", "a,b\n", None),
    ],
)
def test_columns_are_known_where_they_can_be_told(
    tmp_path: Path, name: str, content: str | bytes, columns: tuple[str, ...] | None
) -> None:
    write(tmp_path, **{name: content})

    assert read_local_data(tmp_path, name.replace("_", ".")).columns == columns


def test_the_files_of_a_glob_are_one_with_one_header_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(
        tmp_path, d__10_csv="a,b\n5,6\n", d__2_csv='"a","b"\r\n7,8', d__1_csv=b"\xef\xbb\xbfa,b\n1,2\n3,4", d__0_tsv=""
    )
    (tmp_path / "d" / "3.csv").mkdir()

    data = read_local_data(tmp_path, "d/*.csv")

    assert content_of(data) == b"\xef\xbb\xbfa,b\n1,2\n3,4\n5,6\n7,8"
    assert [file.name for file in data.files] == ["1.csv", "10.csv", "2.csv"]
    assert data.sha256 == hashlib.sha256(content_of(data)).hexdigest()
    assert (data.size, data.columns) == (len(content_of(data)), ("a", "b"))


def test_a_glob_of_one_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, x_csv="a,b\n1,2\n")

    assert read_local_data(tmp_path, "?.csv").sha256 == read_local_data(tmp_path, "x.csv").sha256


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "day[1].csv").write_text("a,b\n1,2\n")

    assert read_local_data(tmp_path, "day[1].csv").files == (tmp_path / "day[1].csv",)


def test_rows_may_be_in_one_of_the_files_alone(tmp_path: Path) -> None:
    write(tmp_path, a_csv="a,b", b_csv="a,b\n1,2\n", c_csv="a,b\n")

    assert content_of(read_local_data(tmp_path, "*.csv")) == b"a,b\n1,2\n"


def test_what_can_not_be_trained_on_is_refused_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, empty_csv="", header_csv="a,b\n \r\n", d__a_csv="a,b\n1,2\n", d__b_csv="")

    assert refusal(tmp_path, "missing.csv") == (
        "[input-unreadable] Training input missing.csv: No such file or directory (missing.csv)"
        " -> Put the file there, or correct the path"
    )
    assert refusal(tmp_path, "d").startswith("[input-unreadable] Training input d: Is a directory (d)")
    assert (
        refusal(tmp_path, "empty.csv")
        == "[input-empty] Training input empty.csv is empty (empty.csv) -> Add its content"
    )
    assert refusal(tmp_path, "d/*.csv") == "[input-empty] Training input d/*.csv is empty (d/b.csv) -> Add its content"
    assert refusal(tmp_path, "header.csv") == (
        "[input-empty] Training input header.csv has a header and no rows (header.csv) -> Add rows"
    )
    (tmp_path / "wide.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    assert refusal(tmp_path, "wide.csv").startswith(
        "[input-format] Training input wide.csv is not a text file: it has NUL characters (wide.csv)"
    )
    assert refusal(tmp_path, "*.json").startswith(
        "[input-unreadable] Training input *.json: no file matches the pattern (*.json)"
    )


def test_files_of_other_columns_are_not_joined_and_both_are_named(tmp_path: Path) -> None:
    write(tmp_path, a_csv="a,b,c\n1,2,3\n", b_csv="a,b,d\n1,2,3\n")
    assert refusal(tmp_path, "*.csv") == (
        '[input-headers] Training input *.csv: b.csv and a.csv have different headers: b.csv lacks "c" and '
        'also has "d" -> Give all files the same columns in the same order, or narrow the pattern'
    )

    write(tmp_path, b_csv="c,b,a\n1,2,3\n")
    assert "b.csv and a.csv have different headers: b.csv has its columns in another order" in refusal(
        tmp_path, "*.csv"
    )


def test_files_of_different_formats_are_not_joined(tmp_path: Path) -> None:
    write(tmp_path, d__a_csv="a,b\n1,2\n", d__b_tsv="a\tb\n1\t2\n", d__c_arff="x", d__d_arff="y")

    assert "matches 2 files that end in .csv and .tsv. Only .csv files, or only" in refusal_of_glob(
        tmp_path, "d/[ab].*"
    )
    assert "matches 2 files that end in .arff." in refusal_of_glob(tmp_path, "d/*.arff")


def refusal_of_glob(base: Path, given: str) -> str:
    with pytest.raises(RecipeError) as raised:
        read_local_data(base, given)
    return str(raised.value)


def test_joining_takes_no_more_memory_than_its_pieces(tmp_path: Path) -> None:
    rows = b"1,2\n" * (1 << 20)
    write(tmp_path, a_csv=b"a,b\n" + rows, b_csv=b"a,b\n" + rows, c_csv=b"a,b\n" + rows)
    tracemalloc.start()
    try:
        data = read_local_data(tmp_path, "*.csv")
        with data.content().open() as stream:
            while stream.read(1 << 20):
                pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert data.size == 4 + 3 * len(rows)
    assert most < 6 << 20
