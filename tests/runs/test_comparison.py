import pytest

from runs.comparison import distinguish_runs
from tests.runs.folders import row


def named(*runs):
    """Return the settings that are named at each run, and what is told once."""
    compared = distinguish_runs(runs)
    return [one["settings"] for one in compared.rows], compared.usual


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
