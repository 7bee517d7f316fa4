"""Which settings tell compared runs apart, and which runs count.

Some settings follow from others: a method has factors of its own, a data set its number of steps.
So a setting is compared only among the runs on the same data set and, if it belongs to a method, a
model or a schedule, among those that chose the same one. If it differs within such a group, each
run names its value, except those with the majority's value, which is stated once for all of them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runs.rows import Row, problem
from runs.settings import ADDED, LENGTH, before, identity, is_harmless

# Settings with columns of their own.
COLUMNS = ("dataset", "noise", "method", "model")

# A key, and what the runs among which it is compared share: the data set and the group's choice.
_Company = tuple[str, Any, Any]


class Comparison(NamedTuple):
    """Compared runs, with the settings that tell them apart.

    Attributes:
        rows: one for each run, with `settings` as text, such as `augment=none max_steps=20`, and
            with `error` if it does not count.
        usual: for each data set (and method and so on), the values that hold where `settings` does
            not name others.
    """

    rows: list[Row]
    usual: list[str]

    @property
    def counted(self) -> list[Row]:
        """The runs that count."""
        return [row for row in self.rows if problem(row) is None]

    @property
    def not_counted(self) -> list[str]:
        """One sentence for each run that does not count."""
        return not_counted(self.rows)


def told_apart(rows: Sequence[Mapping[str, Any]]) -> Comparison:
    """Return the runs with the settings that tell them apart; a repeated experiment counts once.

    Args:
        rows: as `runs.rows.find` gives them.
    """
    made = [_comparable(row) if problem(row) is None else {} for row in rows]
    usual = _usual(rows, made)
    keys = dict.fromkeys(key for key, *_ in usual)
    first: dict[str, int] = {}
    result = []
    for place, (row, settings) in enumerate(zip(rows, made, strict=True)):
        told = {}
        for key in keys if settings else ():
            company, value = _company(row, key), settings.get(key, _absent(key, row))
            if company in usual and usual[company] != value:
                told[key] = value
        one: Row = {**row, "settings": _spoken(told)}
        if settings:
            experiment = [row.get(name) for name in (*COLUMNS, "seed")], settings
            same = first.setdefault(json.dumps(experiment, sort_keys=True), place)
            if same != place:
                one["error"] = f"the same experiment as {name_of(rows[same])}, which is counted"
        result.append(one)
    return Comparison(result, _told_once(usual))


def not_counted(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each run that does not count."""
    return [f"{name_of(row)}: {why}" for row in rows if (why := problem(row)) is not None]


def name_of(row: Mapping[str, Any]) -> str:
    """Return what a run is called in a sentence."""
    return str(row.get("job") or row.get("run_dir") or "a job")


def _usual(
    rows: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, str]]
) -> dict[_Company, str | None]:
    """Return the settings that differ among their runs, with the majority's value or None."""
    keys = dict.fromkeys(key for settings in made for key in settings)
    values: dict[_Company, Counter[str]] = defaultdict(Counter)
    for key in keys:
        for row, settings in zip(rows, made, strict=True):
            if settings:
                values[_company(row, key)][settings.get(key, _absent(key, row))] += 1
    usual: dict[_Company, str | None] = {}
    for company, counts in values.items():
        value, count = counts.most_common(1)[0]
        if len(counts) > 1:
            usual[company] = value if 2 * count > counts.total() else None
    return usual


def _told_once(usual: Mapping[_Company, str | None]) -> list[str]:
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    for (key, dataset, choice), value in usual.items():
        if value is not None:
            lines[f"{dataset}, {choice}" if choice else str(dataset)][key] = value
    return [f"{name}: {_spoken(lines[name])}" for name in sorted(lines)]


def _spoken(settings: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _company(row: Mapping[str, Any], key: str) -> _Company:
    """Return what the runs among which a setting is compared have in common."""
    group, nested, _ = key.partition(".")
    chosen = nested and group != "dataset" and not is_harmless(group)
    choice = row["settings"].get("choices", {}).get(group) if chosen else None
    return key, row.get("dataset"), choice


def _comparable(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings without a column of their own, as text, without repetitions."""
    made = row.get("settings")
    if not made:
        return {}
    choices = made.get("choices", {})
    flat = {key: _text(value) for key, value in identity(made).items()}
    groups = {key.partition(".")[0] for key in flat if "." in key} & choices.keys()
    public = {
        key.replace(".", "_"): value
        for key, value in flat.items()
        if key.partition(".")[0] not in groups
    }
    # however it was given: as steps, as epochs, or by the data set's default
    settings = {"max_steps": _text(row.get("steps"))}
    for group in sorted(groups - set(COLUMNS)):
        if not is_harmless(group):
            settings[group] = choices[group]
    for key, value in flat.items():
        group, _, name = key.partition(".")
        if group in groups:
            # dataset.noise repeats noise, method.meta_engine repeats meta.engine
            repeats = name == "name" or public.get(name) == value
        else:
            repeats = key in (*COLUMNS, "seed", *LENGTH)
        if not repeats:
            settings[key] = value
    return settings


def _absent(key: str, row: Mapping[str, Any]) -> str:
    """Return the value that a run without this key had: the one before it was added, else null."""
    return _text(before(key, row["settings"]) if key in ADDED else None)


def _text(value: Any) -> str:
    """Return a value as one would type it: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
