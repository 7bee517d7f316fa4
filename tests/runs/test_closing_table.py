import io
from pathlib import Path

import pytest
from rich.console import Console

from runs.closing_table import print_closing_table

RESULTS = {
    "finished": True,
    "steps": 10,
    "epochs": 1.0,
    "seconds": 3.0,
    "images_per_second": 20.0,
    "noise/effective_rate": None,
    "data/unreadable": 0,
    "test/acc_last": 0.5,
    "test/acc_balanced_last": 0.25,
}


def shown(capsys: pytest.CaptureFixture[str], **changes: float) -> dict[str, str]:
    print_closing_table({**RESULTS, **changes}, Path("run"))
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    return {row[1].strip(): row[2].strip() for row in rows}


def test_unknown_noise_is_not_called_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys)["wrong labels found"].startswith("not known")
    none = shown(capsys, **{"noise/effective_rate": 0.0})
    assert none["wrong labels found"] == "there are none to find"
    found = shown(capsys, **{"noise/effective_rate": 0.3, "noise/auroc": 0.75})
    assert found["wrong labels found, AUROC"].startswith("0.7500")


def test_shares_of_a_part_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    share = {"noise/suspicious_share": 0.25, "noise/labels": 4_700}
    part = shown(capsys, **share, **{"noise/labels_seen": 600})
    assert part["labels seen"] == "600 of 4,700: all shares are of these; mode=audit looks at all"
    assert part["suspicious"] == "25.0% of the labels seen"
    every = shown(capsys, **share, **{"noise/labels_seen": 4_700})
    assert "labels seen" not in every
    assert every["suspicious"] == "25.0% of the labels"


def test_every_test_set_has_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys, **{"val/acc_last": 0.75, "val/top5_last": 0.875, "val/loss_last": 9.0})
    assert rows["test accuracy, last"] == "50.00%"
    assert rows["… mean over classes"] == "25.00%"
    assert rows["val accuracy, last"] == "75.00%"
    assert rows["val accuracy, top 5"] == "87.50%"


def test_unchecked_test_labels_have_a_row_if_any_were_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tested = {"data/tested": 40, "data/tested_checked": 30}
    for suspicious in (0, 3):
        rows = shown(capsys, **tested, **{"data/tested_suspicious": suspicious})
        assert rows["test accuracy, last"] == (
            f"50.00%  of 40 images, 30 with checked labels, {suspicious} with suspicious ones"
        )
        assert rows["unchecked test labels"] == "run/labels_test.csv"
    assert "unchecked test labels" not in shown(capsys, **tested)


def test_it_goes_where_its_console_writes(capsys: pytest.CaptureFixture[str]) -> None:
    print_closing_table(
        RESULTS, Path("run"), Console(quiet=True)
    )  # as that of a rank that is not the first
    file = io.StringIO()
    print_closing_table(RESULTS, Path("run"), Console(file=file))
    assert capsys.readouterr().out == ""
    assert "50.00%" in file.getvalue()


def test_grey_pictures_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not readable" not in shown(capsys)
    assert "3 pictures" in shown(capsys, **{"data/unreadable": 3})["not readable"]
