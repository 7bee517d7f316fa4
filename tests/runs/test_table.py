import csv
import statistics

import pytest
from rich.console import Console

from runs.comparison import Comparison
from runs.table import markdown, print_table, summarise, write_tables


def job(method="ieg", noise=0.4, seed=1, acc=0.9, **more):
    return {
        "dataset": "digits_asym",
        "noise": noise,
        "method": method,
        "model": "small",
        "settings": "",
        "seed": seed,
        "test/acc_last": acc,
        "test/acc_best_oracle": acc + 0.01,
        "steps": 200,
        "seconds": 10.0,
        **more,
    }


def test_groups_over_seeds_only():
    rows = [
        job(seed=1, acc=0.90),
        job(seed=2, acc=0.94),
        job(seed=3, acc=0.95),
        job(noise=0.8, acc=0.7),
        job("l2r", acc=0.8),
    ]
    entries = summarise(rows)
    assert [(entry["noise"], entry["method"], entry["n"]) for entry in entries] == [
        (0.4, "ieg", 3),
        (0.4, "l2r", 1),
        (0.8, "ieg", 1),
    ]
    assert entries[0]["test/acc_last"] == pytest.approx(0.93)
    # sqrt((0.03² + 0.01² + 0.02²) / 2)
    assert entries[0]["test/acc_last/sd"] == pytest.approx(statistics.sqrt(0.0007))
    assert entries[1]["test/acc_last/sd"] is None
    assert entries[0]["noise/auroc"] is None


def test_noise_sorts_as_a_number():
    rows = [job(noise=noise) for noise in (0.8, 0, 0.05, 0.2)]
    assert [entry["noise"] for entry in summarise(rows)] == [0, 0.05, 0.2, 0.8]


def test_other_settings_are_not_averaged_over():
    rows = [job(acc=acc, settings=f"max_steps={steps}") for acc, steps in ((0.9, 100), (0.8, 20))]
    entries = summarise(rows)
    assert [entry["settings"] for entry in entries] == ["max_steps=20", "max_steps=100"]
    assert [entry["n"] for entry in entries] == [1, 1]


COMPARED = Comparison(
    [
        job(seed=1, acc=0.9, **{"noise/auroc": 0.5, "noise/ap": 0.25, "noise/effective_rate": 0.2}),
        job(seed=2, acc=0.92, **{"noise/auroc": 0.7, "noise/effective_rate": 0.21}),
        job("l2r", noise=None, settings="augment=none"),
        {"job": "a=1", "error": "E"},
    ],
    ["digits_asym: augment=autoaugment"],
    ["digits_asym: test_set=aa (9 images), test_set=bb (10 images)"],
)


def test_markdown_by_hand():
    assert markdown(COMPARED).splitlines() == [
        "| dataset | noise | method | model | settings | n | test acc, last | best, oracle "
        "| AUROC | AP | effective noise | steps | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| digits_asym | 0.4 | ieg | small |  | 2 | 0.9100 ± 0.0141 | 0.9200 ± 0.0141 "
        "| 0.600 ± 0.141 | 0.250 | 0.205 | 200 | 10 |",
        "| digits_asym |  | l2r | small | augment=none | 1 | 0.9000 | 0.9100 |  |  |  | 200 | 10 |",
        "",
        "Fractions: mean ± sample standard deviation over n seeds.",
        "",
        "Where no setting is named:",
        "",
        "- digits_asym: augment=autoaugment",
        "",
        "Accuracies on different test sets do not compare:",
        "",
        "- digits_asym: test_set=aa (9 images), test_set=bb (10 images)",
        "",
        "Not counted:",
        "",
        "- a=1: E",
    ]


def test_the_csv_files_have_a_line_a_run_and_a_line_a_group(tmp_path):
    write_tables(COMPARED, tmp_path / "new")
    with (tmp_path / "new" / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["seed"] for line in lines] == ["1", "2", "1", ""]
    assert lines[-1]["error"] == "E"
    with (tmp_path / "new" / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert float(first["test/acc_last/sd"]) == pytest.approx(statistics.stdev([0.9, 0.92]))
    assert second["test/acc_last/sd"] == second["noise"] == ""


def test_a_table_is_whole_or_as_it_was(tmp_path):
    class Unwritable:
        def __str__(self):
            raise OSError("the disk is full")

    write_tables(COMPARED, tmp_path)
    before = (tmp_path / "results.csv").read_bytes()
    with pytest.raises(OSError, match="the disk is full"):
        write_tables(Comparison([job(), {"job": Unwritable()}], []), tmp_path)
    assert (tmp_path / "results.csv").read_bytes() == before


LONG = "labels=/a[b]" + 50 * "/x"


@pytest.mark.parametrize(("width", "settings"), [(160, "augment=none"), (100, LONG), (60, LONG)])
def test_the_table_fits_or_says_what_is_left_out_and_cuts_no_digit_off(tmp_path, width, settings):
    console = Console(record=True, width=width, file=(tmp_path / "out").open("w"))
    known = {"noise/auroc": 0.5, "noise/ap": 0.25, "noise/effective_rate": 0.2, "steps": 1000000}
    rows = [
        job("supervised", seed=seed, acc=0.5 + seed / 100, settings=settings, **known)
        for seed in (1, 2)
    ]
    print_table(Comparison(rows, []), console)
    printed, _, left_out = console.export_text().partition("Too wide for here")
    assert "0.5150 ± 0.0071" in printed
    assert settings[:12] in printed
    if width >= 100:
        assert max(map(len, printed.splitlines())) <= width
    for name, text in (("seconds", " 10"), ("steps", " 1000000"), ("AUROC", "0.500 ± 0.000")):
        assert (name in left_out) == (text not in printed)
    assert bool(left_out) == (width < 160)
