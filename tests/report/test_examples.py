import base64
import csv
import io

import numpy as np
import torch
from PIL import Image

from audit.table import columns, write_csv
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from report.examples import select_examples, surest_corrections, truth_summary
from report.thumbnails import thumbnails
from tests.report.sample_data import audit, sample_data


def test_the_least_trusted_are_the_first_of_the_list(tmp_path):
    data = sample_data(size=200)
    data.audit.trust[:] = data.audit.trust.round(1)  # with ties
    write_csv(columns(data.audit, data.class_names), tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open() as file:
        listed = list(csv.DictReader(file))
    for example, line in zip(select_examples(data).least_trusted, listed, strict=False):
        assert str(example.row) == line["index"]
        assert example.given == line["given_label"]
        assert (example.suggested or example.given) == line["suggested_label"]


def test_the_surest_corrections_by_hand():
    found = audit(
        given=[0, 0, 1, 2, 2, 0, 0],
        suggested=[1, 1, 1, 1, 0, 2, 1],
        confidence=[0.5, 0.9, 1.0, 0.7, 0.8, 0.3, 1.0],
        trust=[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.6],  # the last is kept as it is
    )
    chosen = {
        name: (rows.tolist(), count) for name, (rows, count) in surest_corrections(found).items()
    }
    assert chosen == {0: ([4], 1), 1: ([1, 3, 0], 3), 2: ([5], 1)}
    assert surest_corrections(audit(given=[0, 1])) == {}


def test_of_many_classes_those_with_most_corrections_stay():
    suggested = np.concatenate([np.arange(1, 151), np.arange(51, 151)])
    chosen = surest_corrections(audit(given=[0] * 250, suggested=suggested, trust=[0] * 250))
    assert list(chosen) == list(range(51, 151))
    assert all(len(rows) == 1 and count == 2 for rows, count in chosen.values())


def test_verdicts_by_hand():
    clean = [UNKNOWN, KNOWN_WRONG, 0, 1, 2, 0, 1]
    found = audit(
        given=[0] * 7,
        suggested=[1, 1, 1, 1, 1, 0, 0],
        clean=clean,
        trust=np.arange(7) / 10,
    )
    examples = select_examples(sample_data(class_names=["a", "b", "c"], audit=found)).least_trusted
    assert [(example.verdict, example.right, example.wrong) for example in examples] == [
        ("", None, None),
        ("known to be wrong", None, True),
        ("given is right", False, False),
        ("right", True, True),
        ("truly c", False, True),
        ("given is right", True, False),
        ("truly b", False, True),
    ]
    assert [example.suggested for example in examples] == ["b"] * 5 + [None] * 2
    assert truth_summary(examples) == (
        "Of the 6 whose truth is known, 4 are wrong, and the suggestion is right for 1 of 3 struck "
        "through."
    )
    assert truth_summary(examples[:1]) == ""


def test_a_label_that_is_kept_is_judged_by_itself():
    found = audit(given=[0, 0], suggested=[1, 1], clean=[0, 1], trust=[0.5, 0.6])
    data = sample_data(class_names=["a", "b", "c"], audit=found)
    examples = select_examples(data).least_trusted
    assert [(example.suspicious, example.suggested) for example in examples] == [(False, "b")] * 2
    assert [(example.verdict, example.right) for example in examples] == [
        ("given is right", True),
        ("truly b", False),
    ]
    assert truth_summary(examples) == "Of the 2 whose truth is known, 1 are wrong."


def test_large_pictures_become_small():
    (picture,) = thumbnails(torch.full((1, 3, 300, 400), 200, dtype=torch.uint8))
    assert (picture.width, picture.height, picture.pixelated) == (96, 72, False)
    kind, _, data = picture.uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (96, 72)
