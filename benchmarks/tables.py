"""The paper's numbers beside ours: `docs/results.md` and `conf/experiment/paper/`, from `results/`.

    python benchmarks/tables.py                         write them again
    python benchmarks/tables.py --add outputs/<run> …   keep finished runs' results first
    python benchmarks/tables.py --check                 are they what results/ says?

The experiments in `OTHERS` get a table each, below a text of their own. A run's result is kept as
one small file: its `results.json` and its settings, without what belongs to a machine. It counts
for a row of the paper if it was `experiment=paper/<row>` and only the seed was changed among the
settings that can change a number. No number is typed by hand.
"""

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from benchmarks.paper_rows import (
    RESULTS,
    ROOT,
    OurResult,
    PaperRow,
    describe_row,
    experiment_text,
    outdated_experiments,
    paper_rows,
    write_experiments,
)
from runs.comparison import distinguish_runs
from runs.rows import Row, find_runs, why_not_counted
from runs.settings import default_run_dir, differences, is_outside_identity
from runs.table import markdown

PAGE = ROOT / "docs" / "results.md"
# Experiments with tables of their own; results/<name>.md is the text above each.
OTHERS = ("small", "choices")


def keep_result(row: Row) -> Path:
    """Write a finished run's result and settings to `results/`; return the file."""
    run_settings = row["settings"]
    overrides = [
        word
        for word in shlex.split(row["command"])
        if not is_outside_identity(word.partition("=")[0])
    ]
    kept = {name: value for name, value in row.items() if name != "run_dir"}
    kept |= {"command": shlex.join(overrides), "settings": _identity_settings(run_settings)}
    file = RESULTS / f"{Path(default_run_dir(run_settings)).name}.json"
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return file


def _identity_settings(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings that can change a number."""
    kept = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            if below := _identity_settings(value, f"{prefix}{key}."):
                kept[key] = below
        elif not is_outside_identity(f"{prefix}{key}"):
            kept[key] = value
    return kept


def kept_results() -> list[Row]:
    """Return the results that are kept, with the file's name as `run_dir`."""
    files = sorted(RESULTS.glob("*.json"))
    return [{**json.loads(file.read_text()), "run_dir": file.stem} for file in files]


def our_result(row: PaperRow, kept: Sequence[Row]) -> OurResult | None:
    """Return our result for a row of the paper, or None.

    Raises:
        ValueError: if a result claims to be of this row, but more was changed than the seed.
    """
    name = f"paper/{row.name}"
    results = [result for result in kept if result["settings"]["choices"].get("experiment") == name]
    for result in results:
        expected = _identity_settings(settings(f"experiment={name}", f"seed={result['seed']}"))
        if changed := differences(expected, result["settings"]):
            raise ValueError(
                f"results/{result['run_dir']}.json is no {name}: {'; '.join(changed)}."
            )
    if not results:
        return None
    return OurResult(
        [result["test/acc_last"] for result in results],
        statistics.mean(result["seconds"] for result in results) / 3600,
        ", ".join(sorted({result["device"] for result in results})),
    )


def page_text(
    rows: Sequence[PaperRow], our_results: Mapping[str, OurResult | None], kept: Sequence[Row]
) -> str:
    """Return the text of `docs/results.md`."""
    run_count = sum(result is not None for result in our_results.values())
    parts = [
        "# The paper's tables, and ours",
        "Written by `python benchmarks/tables.py` from `results/`, where `--add outputs/<run>` "
        "keeps a finished run's result. Test accuracy in per cent, at the last step; nothing is "
        "selected by it; ± is the sample standard deviation over n seeds. `python train.py "
        f"experiment=paper/<row>` runs a row. Of {len(rows)} rows, {run_count} have been run.",
    ]
    for table in dict.fromkeys(row.table for row in rows):
        lines = [
            "| row | what | paper | ours | difference | n | hours each | on |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_line(row, our_results[row.name]) for row in rows if row.table == table]
        parts += [f"## {table}", "\n".join(lines)]
    for name in OTHERS:
        results = [
            result for result in kept if result["settings"]["choices"].get("experiment") == name
        ]
        if results:
            introduction = (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8")
            parts += [introduction.rstrip(), markdown(distinguish_runs(results)).rstrip()]
    return "\n\n".join(parts) + "\n"


def build_texts() -> tuple[dict[str, str], str]:
    """Return the texts of the experiments' files, by name, and of `docs/results.md`."""
    rows, kept = paper_rows(), kept_results()
    our_results = {row.name: our_result(row, kept) for row in rows}
    return {row.name: experiment_text(row, our_results[row.name]) for row in rows}, page_text(
        rows, our_results, kept
    )


def _line(row: PaperRow, our_result: OurResult | None) -> str:
    description = describe_row(row) + (f"; {row.note}" if row.note else "")
    cells = ["never run", "", "", "", ""]
    if our_result is not None:
        difference = ""
        if row.paper:
            difference = f"{our_result.mean - float(row.paper):+.1f}"
        n = str(len(our_result.accuracy))
        cells = [
            our_result.accuracy_text,
            difference,
            n,
            f"{our_result.hours:.1f}",
            our_result.devices,
        ]
    return f"| `{row.name}` | {description} | {row.accuracy_text} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--add", nargs="+", metavar="RUN", default=[])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    for row in find_runs(args.add) if args.add else []:
        reason = why_not_counted(row)
        print(
            f"not kept: {row['run_dir']}: {reason}" if reason else f"kept {keep_result(row).name}"
        )
    if not args.check:  # the experiments must exist to be composed
        write_experiments({row.name: experiment_text(row, None) for row in paper_rows()})
    experiments, text = build_texts()
    if args.check:
        wrong = [f"conf/experiment/paper/{name}.yaml" for name in outdated_experiments(experiments)]
        wrong += [] if PAGE.read_text(encoding="utf-8") == text else ["docs/results.md"]
        if wrong:
            sys.exit(f"not what results/ says: {', '.join(wrong)}; run python benchmarks/tables.py")
        return
    write_experiments(experiments)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{len(experiments)} rows of the paper, {len(kept_results())} results: {PAGE.name}")


if __name__ == "__main__":
    main()
