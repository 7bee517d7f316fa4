"""Which settings tell compared runs apart, and which runs count.

Some settings follow from others: a method has factors of its own, a data set its number of steps.
So a setting is compared only among the runs on the same data set and, if it belongs to a method, a
model or a schedule, among those that chose the same one. If it differs within such a group, each
run names its value, except those with the usual value, which is stated once for all of them. It is
the default: what most of the runs have whose commands do not give the setting. Where all commands
give it, all runs name it.

Runs on different test sets are told apart by these too: see `runs.tested_on`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runs.rows import Row, why_not_counted
from runs.settings import (
    LATER_ADDED_KEYS,
    LENGTH_KEYS,
    identity,
    is_outside_identity,
    keys_given,
    value_before_added,
)
from runs.tested_on import TEST_SET, describe_test_sets, different_test_sets, which_test_set

# Settings with columns of their own.
SETTING_COLUMNS = ("dataset", "noise", "method", "model")

# A key, and what the runs among which it is compared share: the data set and the group's choice.
_SettingScope = tuple[str, Any, Any]


class Comparison(NamedTuple):
    """Compared runs, with the settings that tell them apart.

    Attributes:
        rows: one for each run, with `settings` as text, such as `augment=none max_steps=20`, and
            with `error` if it does not count.
        usual: for each data set (and method and so on), the values that hold where `settings` does
            not name others.
        test_sets: for each data set whose runs have different test sets, which these are.
    """

    rows: list[Row]
    usual: list[str]
    test_sets: Sequence[str] = ()

    @property
    def counted(self) -> list[Row]:
        """The runs that count."""
        return [row for row in self.rows if why_not_counted(row) is None]

    @property
    def not_counted(self) -> list[str]:
        """One sentence for each run that does not count."""
        return not_counted(self.rows)


def distinguish_runs(rows: Sequence[Mapping[str, Any]]) -> Comparison:
    """Return the runs with the settings that tell them apart; a repeated experiment counts once.

    Args:
        rows: as `runs.rows.find_runs` gives them.
    """
    settings_of_rows = [
        _comparable_settings(row) if why_not_counted(row) is None else {} for row in rows
    ]
    test_sets = different_test_sets(
        row for row, settings in zip(rows, settings_of_rows, strict=True) if settings
    )
    for row, settings in zip(rows, settings_of_rows, strict=True):
        if settings and row.get("dataset") in test_sets:
            settings[TEST_SET] = which_test_set(row)
    usual = _usual_values(rows, settings_of_rows)
    keys = dict.fromkeys(key for key, *_ in usual)
    first_positions: dict[str, int] = {}
    result = []
    for position, (row, settings) in enumerate(zip(rows, settings_of_rows, strict=True)):
        named = {}
        for key in keys if settings else ():
            scope, value = _setting_scope(row, key), _value(key, row, settings)
            if scope in usual and usual[scope] != value:
                named[key] = value
        labelled_row: Row = {**row, "settings": _as_overrides(named)}
        if settings:
            experiment = [row.get(name) for name in (*SETTING_COLUMNS, "seed")], settings
            first_position = first_positions.setdefault(
                json.dumps(experiment, sort_keys=True), position
            )
            if first_position != position:
                labelled_row["error"] = (
                    f"the same experiment as {run_label(rows[first_position])}, which is counted"
                )
        result.append(labelled_row)
    return Comparison(result, _usual_value_lines(usual), describe_test_sets(test_sets))


def not_counted(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each run that does not count."""
    return [f"{run_label(row)}: {why}" for row in rows if (why := why_not_counted(row)) is not None]


def run_label(row: Mapping[str, Any]) -> str:
    """Return what a run is called in a sentence."""
    return str(row.get("job") or row.get("run_dir") or "a job")


def _usual_values(
    rows: Sequence[Mapping[str, Any]], settings_of_rows: Sequence[Mapping[str, str]]
) -> dict[_SettingScope, str | None]:
    """Return the settings that differ among their runs, with the usual value or None."""
    keys = dict.fromkeys(key for settings in settings_of_rows for key in settings)
    given_keys_of_rows = [_given_keys(row) for row in rows]
    # of each value, the number of runs that have it without being given it
    values: dict[_SettingScope, Counter[str]] = defaultdict(Counter)
    for key in keys:
        for row, settings, given_keys in zip(
            rows, settings_of_rows, given_keys_of_rows, strict=True
        ):
            if settings:
                scope, value = _setting_scope(row, key), _value(key, row, settings)
                values[scope][value] += key not in given_keys
    usual: dict[_SettingScope, str | None] = {}
    for scope, counts in values.items():
        value, count = counts.most_common(1)[0]
        if len(counts) > 1:
            usual[scope] = value if 2 * count > counts.total() else None
    return usual


def _given_keys(row: Mapping[str, Any]) -> set[str]:
    """Return the keys that a run's command gives; none where the command is not known."""
    given_keys = keys_given(row.get("command")) | {TEST_SET}  # each run names its test set
    return given_keys | {"max_steps"} if given_keys.intersection(LENGTH_KEYS) else given_keys


def _usual_value_lines(usual: Mapping[_SettingScope, str | None]) -> list[str]:
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    for (key, dataset, choice), value in usual.items():
        if value is not None:
            lines[f"{dataset}, {choice}" if choice else str(dataset)][key] = value
    return [f"{name}: {_as_overrides(lines[name])}" for name in sorted(lines)]


def _as_overrides(settings: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _setting_scope(row: Mapping[str, Any], key: str) -> _SettingScope:
    """Return what the runs among which a setting is compared have in common."""
    group, nested, _ = key.partition(".")
    is_of_a_group = nested and group != "dataset" and not is_outside_identity(group)
    choice = row["settings"].get("choices", {}).get(group) if is_of_a_group else None
    return key, row.get("dataset"), choice


def _comparable_settings(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings without a column of their own, as text, without repetitions."""
    saved = row.get("settings")
    if not saved:
        return {}
    choices = saved.get("choices", {})
    flat_settings = {key: _as_typed(value) for key, value in identity(saved).items()}
    group_names = {key.partition(".")[0] for key in flat_settings if "." in key} & choices.keys()
    public_values = {
        key.replace(".", "_"): value
        for key, value in flat_settings.items()
        if key.partition(".")[0] not in group_names
    }
    # however it was given: as steps, as epochs, or by the data set's default
    comparable = {"max_steps": _as_typed(row.get("steps"))}
    for group in sorted(group_names - set(SETTING_COLUMNS)):
        if not is_outside_identity(group):
            comparable[group] = choices[group]
    for key, value in flat_settings.items():
        group, _, name = key.partition(".")
        if group in group_names:
            # dataset.noise repeats noise, method.meta_engine repeats meta.engine
            repeats = name == "name" or public_values.get(name) == value
        else:
            repeats = key in (*SETTING_COLUMNS, "seed", *LENGTH_KEYS)
        if not repeats:
            comparable[key] = value
    return comparable


def _value(key: str, row: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """Return a run's value of a setting that is compared, perhaps only because of other runs.

    There it may repeat another key, or an earlier version may have lacked it: then it is what the
    key stood for before it was added, else null.
    """
    if key in settings:
        return settings[key]
    value: Any = row["settings"]
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and key in LATER_ADDED_KEYS:
        value = value_before_added(key, row["settings"])
    return _as_typed(None if isinstance(value, Mapping) else value)


def _as_typed(value: Any) -> str:
    """Return a value as one would type it: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
