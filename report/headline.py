"""The numbers of a run, as text."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from audit.files import part_seen
from datamodules.phrases import byte_size, counted, duration
from report.report_data import ReportData


class Fact(NamedTuple):
    """A number as text, its name, and a remark."""

    name: str
    value: str
    note: str = ""


def title(data: ReportData) -> str:
    """Return the method and the data set."""
    results = data.results
    return f"{results.get('method') or 'Training'} on {results.get('dataset') or 'a data set'}"


def subtitle(data: ReportData) -> list[str]:
    """Return model, seed, nominal noise and number of classes, as far as they are known."""
    results = data.results
    parts = [results.get("model"), _labelled("seed", results.get("seed"))]
    if results.get("noise") is not None:
        parts.append(f"nominal noise {results['noise']:g}")
    parts.append(f"{len(data.class_names):,} classes")
    return [part for part in parts if part]


def unfinished(data: ReportData) -> str:
    """Return a note that the run is not finished; "" if it is."""
    if data.results.get("finished"):
        return ""
    steps = data.results.get("steps")
    so_far = "" if steps is None else f" after {counted(steps, 'step')}"
    return (
        f"This run is not finished: what is shown is how it stood{so_far}. "
        "The command at the end goes on with it."
    )


def headline(data: ReportData) -> list[Fact]:
    """Return the numbers at the top of the page."""
    return [
        _accuracy(data),
        _detection(data),
        _wrong_share(data),
        _suspicious_count(data),
        _time(data),
    ]


def costs(data: ReportData) -> list[Fact]:
    """Return what the run cost, as far as it is known."""
    results = data.results
    rows = [
        ("steps", "steps", "{:,}".format),
        ("epochs", "epochs", "{:g}".format),
        ("time", "seconds", duration),
        ("images a second", "images_per_second", "{:,.0f}".format),
        ("peak memory", "peak_memory_bytes", byte_size),
        ("pictures not readable", "data/unreadable", "{:,}".format),
    ]
    facts = [
        Fact(name, text(results[key]))
        for name, key, text in rows
        if results.get(key) is not None and (key != "data/unreadable" or results[key])
    ]
    versions = results.get("versions") or {}
    return facts + [Fact(name, version) for name, version in versions.items()]


def _accuracy(data: ReportData) -> Fact:
    results = data.results
    last = results.get("test/acc_last")
    if last is None:
        return Fact("test accuracy, last", "none yet", "the run was not evaluated")
    best, step = results.get("test/acc_best_oracle"), results.get("test/step_best_oracle")
    notes = [tested_on(results)]
    if best is not None:
        at_step = "" if step is None else f" at step {step:,}"
        notes.append(f"best {best:.2%}{at_step}: chosen by test data, not a result")
    return Fact("test accuracy, last", f"{last:.2%}", "; ".join(filter(None, notes)))


def tested_on(results: Mapping[str, Any]) -> str:
    """Return how large the test set is, and how many labels were checked or doubted, if known."""
    size, checked, suspicious = (
        results.get(f"data/tested{part}") for part in ("", "_checked", "_suspicious")
    )
    if size is None:
        return ""
    return (
        f"of {size:,} images"
        + ("" if checked is None else f", {checked:,} with checked labels")
        + ("" if suspicious is None else f", {suspicious:,} with suspicious ones")
    )


def _detection(data: ReportData) -> Fact:
    name, results = "wrong labels found", data.results
    if results.get("noise/auroc") is not None:
        note = "AUROC of the trust score: 1 is perfect, 0.5 is chance"
        return Fact(name, f"{results['noise/auroc']:.4f}", note + _of_seen(data))
    if not data.audit.known.any():
        return Fact(name, "not known", "no true labels are given to compare with")
    if not data.audit.wrong.any():
        return Fact(name, "none", "there are none to find")
    return Fact(name, "not known", "right and wrong labels are needed to compare")


def _wrong_share(data: ReportData) -> Fact:
    name, audit = "labels wrong, estimated", data.audit
    if not len(audit.index):
        return Fact(name, "not known", "no example was visited")
    share = (audit.estimated_class != audit.given).mean()
    truth = f"; truly {audit.wrong[audit.known].mean():.1%}" if audit.known.any() else ""
    note = f"suspicious, and another class is likelier{truth}{_of_seen(data)}"
    return Fact(name, f"{share:.1%}", note)


def _suspicious_count(data: ReportData) -> Fact:
    audit, results = data.audit, data.results
    note = f"of {len(audit.index):,}"
    if part := part_seen(results):
        note = f"of the labels seen, {part} (mode=audit looks at all)"
    if results.get("cleaned/replaced") is not None:
        expected = results.get("cleaned/expected_precision")
        precision = "" if expected is None else f" ({expected:.0%} expected to be right)"
        note += f"; cleaned: {results['cleaned/replaced']:,} replaced{precision}, "
        note += f"{results['cleaned/left_out']:,} left out"
    return Fact("suspicious labels", f"{int(audit.suspicious.sum()):,}", note)


def _of_seen(data: ReportData) -> str:
    """Return that a share is of the labels seen, where these are not all."""
    return "; of the labels seen" if part_seen(data.results) else ""


def _time(data: ReportData) -> Fact:
    seconds, steps = data.results.get("seconds"), data.results.get("steps")
    note = "" if steps is None else counted(steps, "step")
    return Fact("time", "not known" if seconds is None else duration(seconds), note)


def _labelled(name: str, value: Any) -> str | None:
    return None if value is None else f"{name} {value}"
