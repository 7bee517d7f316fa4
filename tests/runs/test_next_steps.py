import shlex
from pathlib import Path

import pytest

from audit.files import CLEANED, CLEANED_DRAWS, NEXT
from datamodules.base import NoisyLabelDataModule
from datamodules.tables import table_writer
from runs.build import build_data
from runs.next_steps import next_steps
from tests.compose import settings
from tests.datamodules import miniatures

RUN = Path("outputs/a run")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def steps(command: str) -> list[list[str]]:
    """Return the words of the commands that follow; each must compose, and its data be read."""
    made = settings(*shlex.split(command)[2:])
    leave(build_data(made))
    found = [shlex.split(typed)[2:] for _, typed in next_steps(command, RUN, made["dataset"])]
    for words in found:
        build_data(settings(*words)).setup("fit")
    return found


def leave(data: NoisyLabelDataModule) -> None:
    """Leave what a run with such data leaves: labels, and one that somebody checked."""
    data.setup("fit")
    drawn = data.manifest
    RUN.mkdir(parents=True, exist_ok=True)
    drawn.write(RUN / CLEANED_DRAWS)
    places = range(data.train_size) if data.paths is None else data.paths
    rows = list(zip(drawn.train_rows.tolist(), drawn.given.tolist(), strict=True))
    probe = zip(drawn.probe_rows.tolist(), drawn.probe_label.tolist(), strict=True)
    listed = [(places[row], label, "train", "no") for row, label in rows]
    listed += [(places[row], label, "train", "yes") for row, label in probe]
    listed += [(path, label, "test", "no") for path, label, _ in data.tested_pictures()]
    with table_writer(RUN / CLEANED, ["path", "label", "split", "trusted"]) as table:
        table.writerows([path, drawn.class_names[label], *rest] for path, label, *rest in listed)
    with table_writer(RUN / NEXT, ["index", "path", "true_label"]) as table:
        row, label = rows[0]
        table.writerow([row, places[row], drawn.class_names[label]])


def test_drawn_noise_gives_way_to_the_cleaned_labels() -> None:
    again, checked = steps(
        "python train.py dataset=digits_asym noise=0.2 method=l2r run_dir=x fresh=true "
        "dataset.draws=released seed=3"
    )
    same = ["dataset=digits_asym", "method=l2r", "seed=3"]
    assert again == [*same, "labels='outputs/a run/labels_cleaned.npz'", "noise=null"]
    assert set(checked) == {
        *same,
        "noise=0.2",
        "dataset.draws=released",
        "dataset.trusted='outputs/a run/label_next.csv'",
    }


@pytest.mark.parametrize(
    ("said", "unsaid"),
    [
        ("", ["dataset.train_per_class=null"]),  # the experiment's
        ("dataset.train_per_class=20", ["dataset.train_per_class=null"]),
        (
            "imbalance=5 dataset.train_per_class=null",
            ["dataset.train_per_class=null", "imbalance=1"],
        ),
    ],
)
def test_cleaned_labels_of_a_part_of_the_data_are_all_there_is(
    said: str, unsaid: list[str]
) -> None:
    command = f"experiment=small dataset=digits_uniform {said}"
    again, checked = steps(f"python train.py {command}")
    assert again == [
        "experiment=small",
        "dataset=digits_uniform",
        "labels='outputs/a run/labels_cleaned.npz'",
        "noise=null",
        *unsaid,
    ]
    assert checked == [*command.split(), "dataset.trusted='outputs/a run/label_next.csv'"]


def test_own_pictures_take_the_table_and_all_lists_of_checked_ones(tmp_path: Path) -> None:
    miniatures.overrides("folder", tmp_path / "photos")
    for name, paths in (("t", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]), ("c", [(1, 0)])):
        column = {"t": "label", "c": "true_label"}[name]
        with table_writer(tmp_path / f"{name}.csv", ["path", column]) as table:
            table.writerows([f"class {label}/{number}.jpg", label] for label, number in paths)
    again, checked = steps(
        "python train.py dataset=folder data_dir=photos labels=t.csv dataset.trusted=c.csv"
    )
    own = ["dataset=folder", "data_dir=photos"]
    assert again == [*own, "labels='outputs/a run/labels_cleaned.csv'"]
    assert checked == [
        *own, "labels=t.csv", "dataset.trusted=[c.csv,'outputs/a run/label_next.csv']"
    ]  # fmt: skip
    made = settings(*checked)["dataset"]["trusted"]
    assert made == ["c.csv", "outputs/a run/label_next.csv"]


def test_what_is_checked_next_is_trusted_whatever_the_probes_size(tmp_path: Path) -> None:
    miniatures.overrides("folder", tmp_path / "photos")
    rows = [(f"class {label}/{number}.jpg", label) for label in (0, 1) for number in range(3)]
    with table_writer(tmp_path / "t.csv", ["path", "label", "trusted"]) as table:
        table.writerows([*row, "yes" if number % 3 else ""] for number, row in enumerate(rows))
    words = ["dataset=folder", "data_dir=photos", "labels=t.csv"]
    again, checked = steps(shlex.join(["python", "train.py", *words, "probe_per_class=1"]))
    assert again[:3] == [*words[:2], "probe_per_class=1"]
    assert checked == [
        *words, "probe_per_class=null", "dataset.trusted='outputs/a run/label_next.csv'"
    ]  # fmt: skip
    assert build_data(settings(*checked)).num_probe > build_data(settings(*again)).num_probe


@pytest.mark.parametrize("name", ["webvision_mini", "clothing1m"])
def test_where_no_list_of_checked_ones_is_read_only_training_again_is_offered(
    name: str, tmp_path: Path
) -> None:
    words = [f"dataset={name}", *miniatures.overrides(name, tmp_path / "pictures")]
    assert len(steps(shlex.join(["python", "train.py", *words]))) == 1
