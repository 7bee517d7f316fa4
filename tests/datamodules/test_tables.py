import os
import sys
from pathlib import Path

import pytest

from datamodules.tables import has_entries, read_table


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nä.png,1\n b.png , two \n",
        "\ufeffpath;label\nä.png;1\nb.png;two\n",
        "path\tlabel\r\nä.png\t1\r\nb.png\ttwo\r\n",
        '"path","label"\n"ä.png","1"\n"b.png","two"\n',
        "sep=;\r\npath;label\r\nä.png;1\r\nb.png;two\r\n",
        "path,label,,\nä.png,1,,\n\nb.png,two,,\n,,,\n,,,\n",
    ],
)
def test_csv_as_people_write_it(tmp_path: Path, text: str) -> None:
    table = read_table(write(tmp_path / "t.csv", text), "labels", ("path", "label"))
    assert table == {"path": ["ä.png", "b.png"], "label": ["1", "two"]}


def test_the_separator_is_what_leaves_the_columns_that_are_needed(tmp_path: Path) -> None:
    text = "path;label;note, with, many, commas\na.png;1;x, y\n"
    table = read_table(write(tmp_path / "t.csv", text), "labels", ("path", "label"))
    assert (table["path"], table["label"]) == (["a.png"], ["1"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 an xlsx", "it is a spreadsheet or an archive: save it as CSV"),
        ("path,label\na,1\n".encode("utf-16"), "it is UTF-16: save it as CSV in UTF-8"),
        (b"path,label,label\na,1,2\n", "it has the column label more than once"),
        (b'path,label\n"a.png,1\nb.png,2\nc.png,1\n', "a quotation mark is not closed"),
    ],
)
def test_what_spreadsheets_and_slips_leave_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv", "labels", ("path", "label"))


def test_whole_numbers_that_pandas_wrote_as_fractions(tmp_path: Path) -> None:
    text = "path,label,true_label,score\n3.0,0,3.0,1.0\nb,1,,0.5\nc,2,10.0,\n"
    table = read_table(write(tmp_path / "t.csv", text), "labels", ("path", "label"))
    assert table["true_label"] == ["3", "", "10"]
    assert table["score"] == ["1.0", "0.5", ""]
    assert table["path"] == ["3.0", "b", "c"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        (None, False),
        ("path,true_label\na,\n", False),
        ("path,true_label\na,x\n", True),
        ("?", True),
    ],
)
def test_a_list_that_somebody_works_at(tmp_path: Path, text: str | None, filled: bool) -> None:
    if text is not None:
        write(tmp_path / "list.csv", text)
    assert has_entries(tmp_path / "list.csv", "true_label") == filled


def test_missing_cells_are_empty(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", "path,label,split\na,1\nb,2,test\n"), "labels", ())
    assert table["split"] == ["", "test"]


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"path": ["a.png", "b.png"], "label": [3, None], "trusted": [True, False]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", "labels", ("path",))
    assert table == {"path": ["a.png", "b.png"], "label": ["3", ""], "trusted": ["True", "False"]}
    write(tmp_path / "u.parquet", "nonsense")
    with pytest.raises(ValueError, match=r"labels=.*u\.parquet cannot be read as a table"):
        read_table(tmp_path / "u.parquet", "labels", ())


def test_parquet_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"Parquet needs a package .* or give a \.csv file"):
        read_table(write(tmp_path / "t.parquet", "x"), "labels", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path .*it has none"),
        ("file,label\n", "has no column path .*it has file, label"),
        ("path,label\na,1,2\n", "line 2 has more cells than the header"),
    ],
)
def test_what_is_no_such_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "t.csv", text), "labels", ("path", "label"))


def test_latin_1_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path,label\na.png,Bär\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"as a table: line 2 is not UTF-8 in column label"):
        read_table(tmp_path / "t.csv", "labels", ("path", "label"))


def test_names_of_files_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,label\na\xff.png,1\n")
    table = read_table(tmp_path / "t.csv", "labels", ("path", "label"))
    assert table["path"] == [os.fsdecode(b"a\xff.png")]
