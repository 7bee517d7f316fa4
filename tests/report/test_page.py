import base64
import io
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import report.page
from datamodules.phrases import byte_size
from report import headline
from report.marks import DEEPEST
from report.page import render, write_report
from report.report_data import UncheckedTests
from tests.report.sample_data import HOSTILE, Page, audit, empty_data, sample_data

LISTS = ("labels.csv", "labels_test.csv")

UNCHECKED = audit(
    index=[2, 5, 7, 9],
    given=[1, 0, 3, 2],
    suggested=[0, 0, 1, 2],
    trust=[0.2, 0.8, 0.1, 0.3],
    confidence=[0.6, 0.9, 0.7, 0.5],
)
TEST_FILES = [f"test/{row}.png" for row in range(10)]
GREYS = torch.arange(10, dtype=torch.uint8)[:, None, None, None].mul(20).expand(10, 3, 8, 8)
TESTED = UncheckedTests(UNCHECKED, lambda rows: GREYS[rows], TEST_FILES)

REPORTS = {
    "everything": sample_data(),
    "no truth": sample_data(known=False, results={"finished": False, "steps": 7}),
    "no weights": sample_data(weights=None),
    "many classes": sample_data(classes=20),
    "more classes than are drawn": sample_data(classes=130),
    "hostile": sample_data(classes=6, class_names=HOSTILE, files=["/a/<b>&\"'.png"] * 400),
    "one evaluation": sample_data(metrics={"test/acc": [(30, 0.5)], "train/acc": [(30, np.inf)]}),
    "no pictures": sample_data(pictures=None),
    "all right": sample_data(audit=audit(given=[0, 1], clean=[0, 1])),
    "unchecked test labels": sample_data(tested=TESTED),
    "nothing": empty_data(),
}


@pytest.fixture(params=REPORTS.values(), ids=list(REPORTS))
def text(request):
    return render(request.param)


def test_a_page_is_whole_and_stands_alone(text):
    page = Page(text)  # every element is closed
    linked = [
        value
        for _, attributes, _ in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "poster", "action", "data") or "xlink" in name
    ]
    assert all(link.startswith(("data:", "#")) or link in LISTS for link in linked)
    assert not re.search(r"url\(|@import|javascript:", text)
    assert {"script", "iframe", "object"}.isdisjoint(name for name, _, _ in page.elements)
    assert not any(name.startswith("on") for _, given, _ in page.elements for name in given)


def test_a_page_is_accessible(text):
    page = Page(text)
    levels = [int(name[1]) for name, _, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    for picture in page.all("img"):
        assert picture["alt"]
        assert 0 < int(picture["width"]) <= 96
        assert 0 < int(picture["height"]) <= 96
        assert picture["loading"] == "lazy"
    for drawing in page.all("svg"):
        assert drawing.get("aria-label") if "role" in drawing else drawing["aria-hidden"] == "true"
    names = {given["id"] for _, given, _ in page.elements if "id" in given}
    assert {link["href"][1:] for link in page.all("a") if link["href"][0] == "#"} == names


def test_doubtful_test_labels_are_shown_the_worst_first():
    page = Page(render(sample_data(size=20, tested=TESTED)))
    pictures = [one for one in page.all("img") if one["alt"].startswith("test picture")]
    assert [one["alt"].split()[-1] for one in pictures] == ["7", "2", "9", "5"]
    shown = Image.open(io.BytesIO(base64.b64decode(pictures[0]["src"].partition(",")[2])))
    assert shown.convert("RGB").getpixel((4, 4)) == (140, 140, 140)
    (lead,) = [text for text in page.texts("p", "lead") if "nobody checked" in text]
    assert "rests on 4 labels that nobody checked, and 3 of them are suspicious" in lead
    assert "7.png" in "".join(page.texts("p", "file"))
    # beside them, all that is shown is as it was
    without = Page(render(sample_data(size=20)))
    assert not [text for text in without.texts("h2") if "test labels" in text]
    assert [one for one in page.all("img") if one not in pictures] == without.all("img")


def test_headline_by_hand():
    data = sample_data(
        audit=audit(
            given=[0, 0, 1, 1],
            clean=[0, 1, 1, -1],
            suggested=[1, 1, 1, 1],
            trust=[0.49, 0.1, 0.5, 0.9],
        ),
    )
    cleaned = {
        "cleaned/replaced": 1,
        "cleaned/left_out": 1,
        "cleaned/expected_precision": 0.912,
    }
    data = data._replace(results={**data.results, **cleaned})
    page = Page(render(data))
    assert page.texts("h1") == ["ieg on digits"]
    assert page.texts("div", "value") == ["93.21%", "0.9876", "50.0%", "2", "2 min 05 s"]
    notes = page.texts("div", "note")
    assert notes[0] == "best 94.12% at step 20: chosen by test data, not a result"
    assert "truly 33.3%" in notes[2]  # one of the three that are known
    assert notes[3] == "of 4; cleaned: 1 replaced (91% expected to be right), 1 left out"
    assert notes[4:] == ["1,030 steps"]
    assert not page.texts("p", "unfinished")
    facts = dict(zip(page.texts("dt")[5:], page.texts("dd")[5:], strict=True))
    assert facts["images a second"] == "812"
    assert facts["peak memory"] == "1.5 GiB"
    assert byte_size(998 * 2**20) == "998 MiB"
    assert facts["torch"] == "2.15.0"
    assert page.texts("pre")[0] == data.command
    assert "momentum: 0.9" in page.texts("pre")[1]


def test_shares_of_a_part_are_said_to_be():
    data = sample_data(size=60)
    data = data._replace(results={**data.results, "noise/labels": 470, "noise/labels_seen": 60})
    page = Page(render(data))
    _, found, wrong, suspicious, _ = page.texts("div", "note")
    assert found.endswith("; of the labels seen")
    assert wrong.endswith("; of the labels seen")
    assert suspicious == "of the labels seen, 60 of 470 (mode=audit looks at all)"
    assert any("of those seen, 60 of 470" in lead for lead in page.texts("p", "lead"))
    assert "seen" not in "".join(Page(render(sample_data())).texts("div", "note"))


def test_an_unfinished_run_says_so_and_guesses_nothing():
    data = REPORTS["no truth"]
    page = Page(render(data))
    assert "after 7 steps" in page.texts("p", "unfinished")[0]
    changed = (data.audit.suggested != data.audit.given) & (data.audit.trust < 0.5)
    share, count = f"{changed.mean():.1%}", str((data.audit.trust < 0.5).sum())
    values = ["none yet", "not known", share, count, "not known"]
    assert page.texts("div", "value") == values
    assert not page.texts("span", "good")
    assert not page.texts("span", "bad")


@pytest.mark.parametrize(
    ("clean", "value"), [([0, 1], "none"), ([1, 0], "not known"), ([-1, -1], "not known")]
)
def test_what_cannot_be_found_is_not_said_to_be(clean, value):
    data = sample_data(results={}, audit=audit(given=[0, 1], clean=clean))
    assert headline.headline(data)[1].value == value


@pytest.mark.parametrize(
    ("doubted", "sentence"),
    [
        (0, "None is suspicious, and all are kept."),
        (1, "1 of them is suspicious, and the others are kept. A label struck"),
        (2, "2 of them are suspicious, and the others are kept. A label struck"),
        (80, "All are suspicious. A label struck"),
    ],
)
def test_only_suspicious_labels_are_struck_through(doubted, sentence):
    trust = np.where(np.arange(80) < doubted, 0.4, 0.5)
    found = audit(given=np.zeros(80, dtype=int), suggested=np.ones(80, dtype=int), trust=trust)
    page = Page(render(sample_data(audit=found, class_names=["a", "b"])))
    assert any(sentence in lead for lead in page.texts("p", "lead"))
    (cards,) = page.texts("ol", "cards")
    assert cards.count("given label: a →") == min(doubted, 60)
    assert cards.count("kept; suggested: b") == 60 - min(doubted, 60)
    # and those among the corrections
    assert len(page.texts("s")) == min(doubted, 60) + min(doubted, 10)


def test_corrections_name_their_files():
    found = audit(given=[0, 0], suggested=[1, 1], trust=[0.1, 0.9], confidence=[0.9, 0.8])
    data = sample_data(audit=found, class_names=["a", "b"], files=["x/one.png", "x/two.png"])
    page = Page(render(data))
    assert [text for text in page.texts("div", "class") if "one.png" in text]
    assert not any("two.png" in text for text in page.texts("div", "class"))
    without = Page(render(data._replace(files=None)))
    assert not any("row" in text for text in without.texts("div", "class"))


def test_names_and_paths_are_text_whatever_they_are(tmp_path):
    data = REPORTS["hostile"]
    page = Page(render(data))
    assert set(page.texts("bdi")) == {" ".join(name.split()) for name in HOSTILE}
    assert "<b>&\"'.png" in page.texts("p", "file")
    path = tmp_path / "report.html"
    odd = sample_data(files=["undecodable \udcff.png"] * 400, class_names=["\udcfe", *"bcde"])
    write_report(path, odd)
    assert "undecodable \\udcff.png" in Page(path.read_text(encoding="utf-8")).texts("p", "file")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_pictures_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(256, size=(900, 3, 8, 8), dtype=np.uint8))
    rows = rng.permutation(900)[:100]  # those of the training list that were visited
    trust = rng.random(100)
    data = sample_data(pictures=lambda rows: pictures[rows])
    data = data._replace(audit=audit(given=np.zeros(100, dtype=int), index=rows, trust=trust))
    images = Page(render(data)).all("img")
    assert len(images) == 60
    for picture, row in zip(images, rows[np.argsort(trust)], strict=False):
        kind, _, data = picture["src"].partition(",")
        assert kind == "data:image/png;base64"
        pixels = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(pixels, pictures[row].permute(1, 2, 0))
        assert str(row) in picture["alt"]


@pytest.mark.parametrize("classes", [10, 100])
def test_a_page_of_fifty_thousand_examples_is_small(classes):
    asked: list[torch.Tensor] = []

    def noise(rows):  # no picture compresses worse
        asked.append(rows)
        return torch.randint(256, (len(rows), 3, 32, 32), dtype=torch.uint8)

    curve = [(step, 0.5 + 0.1 * (step % 7)) for step in range(50, 200_001, 50)]
    metrics = dict.fromkeys(("test/acc", "train/acc", "noise/auroc", "weight/auroc"), curve)
    data = sample_data(size=50_000, classes=classes, pictures=noise, metrics=metrics)
    assert len(render(data).encode()) < 1_500_000
    (rows,) = asked
    assert len(rows) == len(rows.unique()) <= 160
    assert rows.dtype == torch.int64


def luminance(colour):
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_dark(mode):
    style = Path(report.page.__file__).with_name("page.css").read_text()
    block = style.split(":root {")[1 + mode].split("}")[0]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    deep = [int(colours["deep-blue"][at : at + 2], 16) for at in (1, 3, 5)]
    card = [int(colours["card"][at : at + 2], 16) for at in (1, 3, 5)]
    mixed = [
        round(DEEPEST * one + (1 - DEEPEST) * other) for one, other in zip(deep, card, strict=True)
    ]
    colours["deepest"] = "#" + "".join(f"{one:02x}" for one in mixed)
    pairs = [
        *((text, place) for text in ("text", "soft", "blue") for place in ("page", "card")),
        *((text, "card") for text in ("green", "orange")),
        ("text", "note"),
        ("text", "deepest"),
    ]
    for text, place in pairs:
        assert contrast(colours[text], colours[place]) >= 4.5, (text, place)
