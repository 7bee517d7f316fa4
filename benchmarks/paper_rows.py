"""The rows of the paper's tables, from `results/paper.csv`, and the experiments made from them.

Only that file defines them. Its columns: `name` of the experiment, the paper's `table`, what is
trained on what (`dataset` to `probe_per_class`, and `changes` as on a command line), the paper's
number and spread in per cent if they are known, and a `note`.
"""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
EXPERIMENTS = ROOT / "conf" / "experiment" / "paper"

METHODS = {"ieg": "IEG", "l2r": "L2R", "supervised": "supervised"}
MODELS = {"resnet29": "ResNet-29", "wrn28_10": "WRN-28-10", "resnet50": "ResNet-50"}


class PaperRow(NamedTuple):
    """One row: an experiment, and the paper's result."""

    name: str
    table: str
    dataset: str
    noise: str
    method: str
    model: str
    probe_per_class: str
    changes: str
    paper: str  # per cent, or ""
    spread: str
    note: str

    @property
    def command(self) -> str:
        """The command that runs it."""
        more = " trainer=ddp trainer.devices=8" if self.dataset.startswith("webvision") else ""
        return f"python train.py experiment=paper/{self.name}{more}"

    @property
    def accuracy_text(self) -> str:
        """The paper's number with its spread; `–` if there is none."""
        spread = f" ± {self.spread}" if self.spread else ""
        return f"{self.paper}{spread}" if self.paper else "–"


class OurResult(NamedTuple):
    """Our result of a row, over seeds."""

    accuracy: list[float]  # last test accuracy of each run, a fraction
    hours: float  # mean over runs
    devices: str

    @property
    def mean(self) -> float:
        """The mean accuracy in per cent."""
        return 100 * statistics.mean(self.accuracy)

    @property
    def accuracy_text(self) -> str:
        """The mean in per cent and, of several runs, the sample standard deviation."""
        mean = f"{self.mean:.1f}"
        if len(self.accuracy) == 1:
            return mean
        return f"{mean} ± {100 * statistics.stdev(self.accuracy):.1f}"


def paper_rows() -> list[PaperRow]:
    """Return all rows, in the paper's order."""
    with (RESULTS / "paper.csv").open(newline="", encoding="utf-8") as file:
        return [PaperRow(**row) for row in csv.DictReader(file)]


def experiment_text(row: PaperRow, our_result: OurResult | None) -> str:
    """Return the text of the experiment's file: the row's numbers as a header, and its settings."""
    defaults = [{f"override /{group}": getattr(row, group)} for group in ("dataset", "model")]
    settings: dict[str, Any] = {"defaults": [*defaults, {"override /method": row.method}]}
    if row.noise:
        settings["noise"] = yaml.safe_load(row.noise)
    settings["probe_per_class"] = int(row.probe_per_class)
    changes: Any = OmegaConf.to_container(OmegaConf.from_dotlist(row.changes.split()))
    settings |= changes
    paper = f"{row.accuracy_text} %" if row.paper else "no number"
    header = [
        f"{row.table}: {describe_row(row)}.",
        f"Paper: {paper}. Ours: {_describe_our_result(our_result)}.",
    ]
    if row.note:
        header.append(f"{row.note[0].upper()}{row.note[1:]}.")
    header += [f"  {row.command}", "Written by benchmarks/tables.py from results/."]
    lines = ["# @package _global_", *(f"# {line}" for line in header)]
    return "\n".join(lines) + "\n" + yaml.safe_dump(settings, sort_keys=False)


def describe_row(row: PaperRow) -> str:
    """Return method, model, probe set and noise, in words."""
    noise_kind = "asymmetric" if row.dataset.endswith("_asym") else "uniform"
    noise = f", {noise_kind} noise {row.noise}" if row.noise else ""
    trusted = "" if row.method == "supervised" else f", {row.probe_per_class} trusted a class"
    return f"{METHODS[row.method]}, {MODELS[row.model]}{trusted}{noise}"


def _describe_our_result(our_result: OurResult | None) -> str:
    if our_result is None:
        return "never run"
    n = len(our_result.accuracy)
    return (
        f"{our_result.accuracy_text} % (n = {n}, {our_result.devices}, "
        f"{our_result.hours:.1f} hours each)"
    )


def write_experiments(experiments: dict[str, str]) -> None:
    """Write the experiments' files, and delete those of rows that no longer exist."""
    EXPERIMENTS.mkdir(parents=True, exist_ok=True)
    for file in EXPERIMENTS.glob("*.yaml"):
        if file.stem not in experiments:
            file.unlink()
    for name, text in experiments.items():
        (EXPERIMENTS / f"{name}.yaml").write_text(text, encoding="utf-8")


def outdated_experiments(experiments: dict[str, str]) -> Sequence[str]:
    """Return the names of the experiments whose file is missing, outdated or left over."""
    existing = {file.stem: file.read_text(encoding="utf-8") for file in EXPERIMENTS.glob("*.yaml")}
    names = experiments.keys() | existing.keys()
    return sorted(name for name in names if experiments.get(name) != existing.get(name))
