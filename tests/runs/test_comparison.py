import shlex

import pytest

from runs.comparison import distinguish_runs
from runs.table import summarise
from tests.runs.folders import row


def named(*runs):
    """Return the settings that are named at each run, and what is told once."""
    compared = distinguish_runs(runs)
    return [one["settings"] for one in compared.rows], compared.usual


def by_command(*words, **more):
    """Return a run that knows its command, as all but very early ones do."""
    return row(*words, command=shlex.join(["python", "train.py", *words]), **more)


def test_what_follows_from_data_set_method_and_model_is_not_named():
    """They differ in dozens of keys: factors, steps, networks, schedules, augmentation."""
    runs = [
        row(f"dataset={dataset}", f"method={method}", f"noise={noise}", f"seed={seed}")
        for dataset in ("digits_asym", "cifar10_uniform")
        for method, noise, seed in (("supervised", 0.2, 1), ("ieg", 0.4, 2))
    ]
    assert named(*runs) == ([""] * 4, [])


def test_what_most_runs_have_is_told_once_and_the_rest_is_named():
    runs = [
        row(),
        row("seed=1"),
        row("augment=none"),
        row("dataset=cifar10_asym"),
    ]
    assert named(*runs) == (["", "", "augment=none", ""], ["digits_asym: augment=autoaugment"])


def test_what_no_command_gave_is_the_default_and_is_not_named_however_few_have_it():
    other = ("augment=none", "method.ce_factor=3")
    runs = [by_command(), by_command(*other), by_command("seed=2", *other)]
    assert named(*runs) == (
        ["", "augment=none method.ce_factor=3", "augment=none method.ce_factor=3"],
        ["digits_asym: augment=autoaugment", "digits_asym, ieg: method.ce_factor=1"],
    )


def test_a_default_that_a_command_repeats_is_not_named():
    runs = [by_command(), by_command("augment=autoaugment", "seed=2"), by_command("augment=none")]
    assert named(*runs)[0] == ["", "", "augment=none"]


def test_what_all_commands_give_is_named_at_all_runs():
    runs = [by_command(f"batch_size={size}", f"seed={size}") for size in (50, 50, 50, 20)]
    assert named(*runs) == ([f"batch_size={size}" for size in (50, 50, 50, 20)], [])


def test_a_default_is_that_of_the_experiment():
    small = ("experiment=small", "dataset=cifar10_asym")
    runs = [by_command(*small), *(by_command(*small, f"batch_size={size}") for size in (9, 9))]
    assert named(*runs)[1] == ["cifar10_asym: batch_size=50"]


@pytest.mark.parametrize("length", ["max_steps=20", "default_steps=20", "max_epochs=2"])
def test_a_length_is_given_in_three_ways(length):
    runs = [by_command(steps=200), *(by_command(length, f"seed={n}", steps=20) for n in (1, 2))]
    assert named(*runs) == (["", "max_steps=20", "max_steps=20"], ["digits_asym: max_steps=200"])


def test_where_two_defaults_were_had_equally_often_both_are_named():
    """As by an earlier version, or by another experiment."""
    earlier = by_command()
    earlier["settings"]["method"]["ce_factor"] = 7
    assert named(earlier, by_command("seed=2")) == (
        ["method.ce_factor=7", "method.ce_factor=1"],
        [],
    )


@pytest.mark.parametrize("command", [None, 5, "", "python train.py labels='x", ["augment=none"]])
def test_without_a_readable_command_the_majority_is_usual(command):
    runs = [row("augment=none", "seed=1"), row("augment=none"), row()]
    assert named(*({**one, "command": command} for one in runs))[0] == [
        "", "", "augment=autoaugment"
    ]  # fmt: skip


def test_the_usual_value_of_what_mostly_repeats_another_key_is_told():
    runs = [by_command(), by_command("seed=2"), by_command("dataset.probe_per_class=5", "seed=2")]
    assert named(*runs) == (
        ["", "", "dataset.probe_per_class=5"],
        ["digits_asym: dataset.probe_per_class=10"],
    )


def test_a_key_that_came_later_is_named_where_it_changes_something():
    earlier = row()
    del earlier["settings"]["speed"]
    runs = [earlier, row("seed=1"), row("seed=2", "speed.compile=true")]
    assert named(*runs) == (
        ["", "", "speed.compile=true"],
        ["digits_asym: speed.compile=false"],
    )


def test_where_none_has_the_majority_all_are_named():
    runs = [row("probe_per_class=1"), row("probe_per_class=5")]
    assert named(*runs) == (["probe_per_class=1", "probe_per_class=5"], [])


def test_a_public_setting_is_compared_across_methods():
    """Else a table would set 100 examples a step beside 50, and not say so."""
    runs = [row("method=supervised", "batch_size=50"), row("method=ieg")]
    assert named(*runs) == (["batch_size=50", "batch_size=100"], [])


def test_a_methods_own_setting_is_compared_within_the_method():
    runs = [
        row("method=ieg", "method.temperature=1"),
        row("method=ieg", "seed=1"),
        row("method=ieg", "seed=2"),
        row("method=l2r"),
    ]
    assert named(*runs) == (
        ["method.temperature=1", "", "", ""],
        ["digits_asym, ieg: method.temperature=0.5"],
    )


def test_a_data_sets_own_setting_is_told_of_the_data_set_once():
    runs = [row("dataset.draws=released"), row("seed=1"), row("seed=2"), row("augment=none")]
    names, usual = named(*runs)
    assert names == ["dataset.draws=released", "", "", "augment=none"]
    assert usual == ["digits_asym: augment=autoaugment dataset.draws=ours"]


def test_another_schedule_is_named_once_not_by_all_its_keys():
    runs = [row(), row("schedule=step"), row("schedule=cosine", "schedule.warmup_epochs=2")]
    names, usual = named(*runs)
    # two cosines, one of them warmed up: neither is the usual one
    assert names == ["schedule.warmup_epochs=0", "schedule=step", "schedule.warmup_epochs=2"]
    assert usual == ["digits_asym: schedule=cosine"]


@pytest.mark.parametrize(
    ("key", "copy"), [("batch_size=50", "dataset"), ("meta.scope=replica", "method")]
)
def test_a_setting_that_is_handed_on_is_named_once(key, copy):
    names, _ = named(row(), row(key))
    assert names[1] == key


def test_the_length_is_how_long_it_was_however_it_was_given():
    runs = [row(), row("max_steps=200", "seed=1"), row("max_steps=20")]
    assert named(*runs) == (["", "", "max_steps=20"], ["digits_asym: max_steps=200"])


def test_devices_are_told_apart_but_not_where_data_lie():
    names, _ = named(row("trainer=ddp", "trainer.devices=2"), row("data_dir=/x", "logger=csv"))
    assert names == ["trainer.devices=2", "trainer.devices=1"]


def test_a_key_that_an_earlier_version_lacked_is_as_good_as_null():
    old, null, other = row(), row("seed=2"), row("evaluate_every=5")
    del old["settings"]["evaluate_every"]
    assert named(old, null, other)[0] == ["", "", "evaluate_every=5"]
    del old["settings"]["imbalance"], old["settings"]["dataset"]["imbalance"]
    assert named(old, null, other)[0] == ["imbalance=null", "", "evaluate_every=5"]


def test_the_same_experiment_counts_once():
    first, again = row("seed=1", run_dir="a"), row("seed=1", "data_dir=/x", run_dir="b")
    other = row("seed=2", run_dir="c")
    compared = distinguish_runs([first, again, other])
    assert [one["run_dir"] for one in compared.counted] == ["a", "c"]
    assert compared.not_counted == ["b: the same experiment as a, which is counted"]


def judged_on(test_set, *words, size=100, **more):
    return by_command(*words, **{"data/tested": size, "data/tested_hash": test_set}, **more)


def test_runs_on_other_test_sets_are_told_apart_and_so_no_means_are_taken_over_them():
    runs = [judged_on("aa", "seed=1"), judged_on("aa", "seed=2"), judged_on("bb", "seed=3", size=9)]
    other_data = judged_on("cc", "dataset=cifar10_asym")
    compared = distinguish_runs([*runs, other_data])
    assert [one["settings"] for one in compared.rows] == [
        "test_set=aa", "test_set=aa", "test_set=bb", ""
    ]  # fmt: skip
    assert compared.usual == []
    assert compared.test_sets == ["digits_asym: test_set=aa (100 images), test_set=bb (9 images)"]
    assert [entry["n"] for entry in summarise(compared.counted)] == [1, 2, 1]


def test_the_same_command_on_another_test_set_is_another_experiment():
    compared = distinguish_runs([judged_on("aa"), judged_on("bb"), judged_on("aa")])
    assert len(compared.counted) == 2


def test_results_that_do_not_say_their_test_set_are_as_others():
    compared = distinguish_runs([by_command("seed=1"), judged_on("aa", "seed=2"), by_command()])
    assert [one["settings"] for one in compared.rows] == [""] * 3
    assert compared.test_sets == []
    again = distinguish_runs([by_command(run_dir="a"), judged_on("aa", run_dir="b")])
    assert again.not_counted == ["b: the same experiment as a, which is counted"]


def test_unless_others_are_on_different_ones():
    runs = [by_command("seed=1"), by_command("seed=2"), judged_on("aa"), judged_on("bb", "seed=3")]
    compared = distinguish_runs(runs)
    assert [one["settings"] for one in compared.rows] == [
        "test_set=unknown", "test_set=unknown", "test_set=aa", "test_set=bb"
    ]  # fmt: skip
    assert compared.test_sets == [
        "digits_asym: test_set=aa (100 images), test_set=bb (100 images), "
        "test_set=unknown (results of earlier versions)"
    ]


def test_runs_without_a_result_are_told_by_name_and_do_not_take_part():
    runs = [
        row("augment=none"),
        {"job": "method=l2r noise=0.4", "error": "ValueError: no probe"},
        row("method=supervised", run_dir="outputs/x", finished=False),
        row("seed=2", "augment=none", run_dir="outputs/y", **{"test/acc_last": None}),
    ]
    compared = distinguish_runs(runs)
    assert [one["settings"] for one in compared.rows] == [""] * 4
    assert len(compared.counted) == 1
    assert compared.not_counted == [
        "method=l2r noise=0.4: ValueError: no probe",
        "outputs/x: stopped before its last step: run the same command again to go on",
        "outputs/y: its result has no test/acc_last",
    ]
