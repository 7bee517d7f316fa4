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
    Ours,
    PaperRow,
    experiment,
    paper_rows,
    stale,
    what,
    write,
)
from runs.apart import told_apart
from runs.rows import Row, find, problem
from runs.settings import default_run_dir, differences, is_harmless
from runs.table import markdown

PAGE = ROOT / "docs" / "results.md"
# Experiments with tables of their own; results/<name>.md is the text above each.
OTHERS = ("small", "choices")


def keep(row: Row) -> Path:
    """Write a finished run's result and settings to `results/`; return the file."""
    made = row["settings"]
    words = [
        word for word in shlex.split(row["command"]) if not is_harmless(word.partition("=")[0])
    ]
    kept = {name: value for name, value in row.items() if name != "run_dir"}
    kept |= {"command": shlex.join(words), "settings": _decisive(made)}
    file = RESULTS / f"{Path(default_run_dir(made)).name}.json"
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return file


def _decisive(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings that can change a number."""
    kept = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            if below := _decisive(value, f"{prefix}{key}."):
                kept[key] = below
        elif not is_harmless(f"{prefix}{key}"):
            kept[key] = value
    return kept


def results() -> list[Row]:
    """Return the results that are kept, with the file's name as `run_dir`."""
    files = sorted(RESULTS.glob("*.json"))
    return [{**json.loads(file.read_text()), "run_dir": file.stem} for file in files]


def ours(row: PaperRow, kept: Sequence[Row]) -> Ours | None:
    """Return our result for a row of the paper, or None.

    Raises:
        ValueError: if a result claims to be of this row, but more was changed than the seed.
    """
    name = f"paper/{row.name}"
    made = [one for one in kept if one["settings"]["choices"].get("experiment") == name]
    for one in made:
        meant = _decisive(settings(f"experiment={name}", f"seed={one['seed']}"))
        if changed := differences(meant, one["settings"]):
            raise ValueError(f"results/{one['run_dir']}.json is no {name}: {'; '.join(changed)}.")
    if not made:
        return None
    return Ours(
        [one["test/acc_last"] for one in made],
        statistics.mean(one["seconds"] for one in made) / 3600,
        ", ".join(sorted({one["device"] for one in made})),
    )


def page(rows: Sequence[PaperRow], found: Mapping[str, Ours | None], kept: Sequence[Row]) -> str:
    """Return the text of `docs/results.md`."""
    run = sum(one is not None for one in found.values())
    parts = [
        "# The paper's tables, and ours",
        "Written by `python benchmarks/tables.py` from `results/`, where `--add outputs/<run>` "
        "keeps a finished run's result. Test accuracy in per cent, at the last step; nothing is "
        "selected by it; ± is the sample standard deviation over n seeds. `python train.py "
        f"experiment=paper/<row>` runs a row. Of {len(rows)} rows, {run} have been run.",
    ]
    for table in dict.fromkeys(row.table for row in rows):
        lines = [
            "| row | what | paper | ours | difference | n | hours each | on |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_line(row, found[row.name]) for row in rows if row.table == table]
        parts += [f"## {table}", "\n".join(lines)]
    for name in OTHERS:
        made = [one for one in kept if one["settings"]["choices"].get("experiment") == name]
        if made:
            words = (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8")
            parts += [words.rstrip(), markdown(told_apart(made)).rstrip()]
    return "\n\n".join(parts) + "\n"


def built() -> tuple[dict[str, str], str]:
    """Return the texts of the experiments' files, by name, and of `docs/results.md`."""
    rows, kept = paper_rows(), results()
    found = {row.name: ours(row, kept) for row in rows}
    return {row.name: experiment(row, found[row.name]) for row in rows}, page(rows, found, kept)


def _line(row: PaperRow, of_ours: Ours | None) -> str:
    words = what(row) + (f"; {row.note}" if row.note else "")
    cells = ["never run", "", "", "", ""]
    if of_ours is not None:
        more = ""
        if row.paper:
            more = f"{of_ours.mean - float(row.paper):+.1f}"
        n = str(len(of_ours.accuracy))
        cells = [of_ours.said, more, n, f"{of_ours.hours:.1f}", of_ours.devices]
    return f"| `{row.name}` | {words} | {row.said} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--add", nargs="+", metavar="RUN", default=[])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    for row in find(given.add) if given.add else []:
        why = problem(row)
        print(f"not kept: {row['run_dir']}: {why}" if why else f"kept {keep(row).name}")
    if not given.check:  # the experiments must exist to be composed
        write({row.name: experiment(row, None) for row in paper_rows()})
    experiments, text = built()
    if given.check:
        wrong = [f"conf/experiment/paper/{name}.yaml" for name in stale(experiments)]
        wrong += [] if PAGE.read_text(encoding="utf-8") == text else ["docs/results.md"]
        if wrong:
            sys.exit(f"not what results/ says: {', '.join(wrong)}; run python benchmarks/tables.py")
        return
    write(experiments)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{len(experiments)} rows of the paper, {len(results())} results: {PAGE.name}")


if __name__ == "__main__":
    main()
