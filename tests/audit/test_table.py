import csv
from pathlib import Path

import numpy as np
from pyarrow import parquet

from audit.table import COLUMNS, columns, write_csv, write_parquet
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from tests.audit.audits import some_audit

NAMES = ("cat", "dog", "été")


def test_the_most_suspicious_label_comes_first(tmp_path: Path) -> None:
    audit = some_audit(50)
    write_csv(columns(audit, NAMES), tmp_path / "labels.csv")
    rows = list(csv.DictReader((tmp_path / "labels.csv").open(encoding="utf-8")))
    assert list(rows[0]) == list(COLUMNS)
    assert [int(row["rank"]) for row in rows] == list(range(1, 51))
    assert [float(row["trust"]) for row in rows] == sorted(audit.trust.tolist())
    by_index = {int(row["index"]): row for row in rows}
    for place, index in enumerate(audit.index.tolist()):
        row = by_index[index]
        assert row["given_label"] == NAMES[audit.given[place]]
        assert row["suggested_label"] == NAMES[audit.suggested[place]]
        assert float(row["confidence"]) == round(audit.confidence[place], 4)
        true = audit.clean[place]
        assert row["true_label"] == ("" if true < 0 else NAMES[true])
        assert row["weight"] == row["weight_sd"] == row["weight_zero_share"] == ""


def test_a_known_error_has_no_true_class() -> None:
    audit = some_audit(3, clean=[KNOWN_WRONG, UNKNOWN, 2], trust=[0, 1, 2], given=[0, 0, 0])
    assert columns(audit, NAMES)["true_label"].tolist() == ["", "", "été"]
    assert audit.wrong.tolist() == [True, False, True]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    audit = some_audit(20, weight=[0.5, np.nan] * 10)
    files = [f"{row}.png" for row in range(40)]
    files[audit.index[0]] = "0\udcff.png"  # any bytes can be a name
    table = columns(audit, NAMES, files=files)
    write_parquet(table, tmp_path / "labels.parquet")
    found = parquet.read_table(tmp_path / "labels.parquet").to_pydict()
    assert list(found) == list(table)
    assert found["trust"] == table["trust"].tolist()
    assert found["index"] == table["index"].tolist()
    assert found["given_label"] == table["given_label"].tolist()
    written = [one.replace("\udcff", r"\udcff") for one in files]
    assert found["path"] == [written[row] for row in found["index"]]
    assert found["weight"] == [None if np.isnan(one) else one for one in table["weight"]]
