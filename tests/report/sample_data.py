"""Made-up data for reports, and what a page says of them."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import torch

from audit.record import Audit
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from report.report_data import ReportData, WeightHistory

HOSTILE = (
    '<script>alert("1")</script>',
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }} & {% raw %}",
    "Straße mit einem sehr langen Namen, der nirgends hineinpasst",
    "日本語の長い名前です",
    "مرحبا",
)

# Elements that have no end.
VOID = {"meta", "link", "img", "br"}


def audit(**columns: Any) -> Audit:
    """Return an audit with these columns, the others as plain as can be."""
    size = len(columns["given"])
    plain = {
        "index": np.arange(size),
        "clean": np.full(size, UNKNOWN),
        "suggested": columns["given"],
        "confidence": np.ones(size),
        "trust": np.ones(size),
        **dict.fromkeys(("weight", "weight_sd", "zero_share"), np.full(size, np.nan)),
        "visits": np.ones(size, dtype=np.int64),
    }
    given = {**plain, **columns}
    return Audit(**{name: np.asarray(column) for name, column in given.items()})


def sample_data(
    size: int = 400, classes: int = 5, known: bool = True, **changes: Any
) -> ReportData:
    """Return data of a run with everything in it; `known`: of most labels."""
    rng = np.random.default_rng(size + classes)
    clean = rng.integers(classes, size=size)
    given = np.where(rng.random(size) < 0.3, rng.integers(classes, size=size), clean)
    suggested = np.where(rng.random(size) < 0.9, clean, rng.integers(classes, size=size))
    known_clean = np.where(rng.random(size) < 0.1, UNKNOWN, clean)
    known_clean[(given != clean) & (rng.random(size) < 0.2)] = KNOWN_WRONG
    pictures = torch.from_numpy(rng.integers(256, size=(size, 3, 8, 8), dtype=np.uint8))
    steps = [10, 20, 30]
    names = ["test/acc", "val/acc", "train/acc", "meta/acc", "test/ece", "memory_bytes"]
    if known:
        names += ["train/acc_clean", "noise/auroc", "noise/recall", "noise/memorised"]
        names += ["weight/clean_mean", "transition/error"]
    history = [(step, rng.integers(50, size=(3, 6))) for step in steps]
    complete = ReportData(
        results={
            "dataset": "digits",
            "method": "ieg",
            "model": "resnet11",
            "seed": 3,
            "noise": 0.4,
            "test/acc_last": 0.9321,
            "test/acc_best_oracle": 0.9412,
            "test/step_best_oracle": 20,
            "noise/auroc": 0.9876 if known else None,
            "steps": 1030,
            "seconds": 125.0,
            "images_per_second": 812.4,
            "peak_memory_bytes": 3 * 2**29,
            "finished": True,
            "run_dir": "outputs/digits",
            "versions": {"torch": "2.15.0"},
        },
        metrics={name: [(step, float(rng.random())) for step in steps] for name in names},
        audit=audit(
            index=np.arange(size),
            given=given,
            clean=known_clean if known else np.full(size, UNKNOWN),
            suggested=suggested,
            confidence=rng.random(size),
            trust=rng.random(size),
        ),
        class_names=[f"class {one}" for one in range(classes)],
        command="python train.py method=ieg",
        settings={"method": {"momentum": 0.9}},
        pictures=lambda rows: pictures[rows],
        weights=WeightHistory([0.0, 0.1, 1.0, 2.0, 10.0], history),
    )
    return complete._replace(**changes)


def empty_data() -> ReportData:
    """Return what can be told of a run that was stopped before it did anything."""
    return ReportData({}, {}, audit(given=np.zeros(0, dtype=np.int64)), ["a", "b"], "python", {})


class Page(HTMLParser):
    """A page as a browser understands it; raises where an element is closed that is not open.

    Attributes:
        elements: (name, attributes, text directly within) of each, in order.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append((tag, self.elements[-1][2]))

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, words in self._open:
            words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all elements of a name."""
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def texts(self, tag: str, kind: str = "") -> list[str]:
        """Return what stands within all elements of a name, and of a class."""
        return [
            " ".join("".join(words).split())
            for name, attributes, words in self.elements
            if name == tag and kind in (attributes.get("class") or "")
        ]
