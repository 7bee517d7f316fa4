import shlex
from pathlib import Path

import pytest

from runs.next_steps import next_steps
from tests.compose import settings

RUN = Path("outputs/a run")


def steps(command: str) -> list[list[str]]:
    """Return the words of the commands that follow, each of which must compose."""
    dataset = settings(*shlex.split(command)[2:])["dataset"]
    found = [shlex.split(typed)[2:] for _, typed in next_steps(command, RUN, dataset)]
    for words in found:
        settings(*words)
    return found


def test_drawn_noise_gives_way_to_the_cleaned_labels() -> None:
    again, checked = steps(
        "python train.py dataset=cifar10_asym noise=0.2 method=l2r run_dir=x fresh=true "
        "dataset.draws=released seed=3"
    )
    same = ["dataset=cifar10_asym", "method=l2r", "seed=3"]
    assert again == [*same, "labels='outputs/a run/labels_cleaned.npz'", "noise=null"]
    assert set(checked) == {
        *same,
        "noise=0.2",
        "dataset.draws=released",
        "dataset.trusted='outputs/a run/label_next.csv'",
    }


def test_own_pictures_take_the_table_and_all_lists_of_checked_ones() -> None:
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


@pytest.mark.parametrize("name", ["webvision_mini", "clothing1m"])
def test_where_no_list_of_checked_ones_is_read_only_training_again_is_offered(name: str) -> None:
    assert len(steps(f"python train.py dataset={name}")) == 1
