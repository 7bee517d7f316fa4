from copy import deepcopy
from typing import Any

import pytest
from hydra.utils import get_class

from lightning_modules.supervised import Supervised
from runs.check import _USES_PROBE, check_settings
from runs.settings import (
    LATER_ADDED_KEYS,
    default_run_dir,
    differences,
    identity,
    keys_given,
)
from tests.compose import CONF, settings


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("mode=learn", "mode=learn"),
        ("noise=1.2", "noise=1.2"),
        ("noise=1.0", "noise=1.0"),
        ("noise=-0.1", "noise=-0.1"),
        ("noise=much", "noise=much"),
        ("probe_per_class=0", "method=supervised"),
        ("probe_per_class=-1", "probe_per_class=-1"),
        ("batch_size=0", "batch_size=0"),
        ("batch_size=1.5", "batch_size=1.5"),
        ("max_steps=0", "max_steps=0"),
        ("max_epochs=-3", "max_epochs=-3"),
        ("default_steps=abc", "default_steps=abc must be a whole number, 1 or more"),
        ("default_steps=1.5", "default_steps=1.5"),
        ("default_steps=0", "default_steps=0"),
        ("checkpoint=5", "checkpoint=5 is not a file or a run folder"),
        ("checkpoint=[a,b]", "--multirun checkpoint=a,b takes several"),
        ("~model.weight_decay", "model=resnet11 says no model.weight_decay: write it into"),
        ("~model.name", "says no model.name"),
        ("logger.group=5", "logger.group=5 is not a name: give one or null"),
        ("logger.project=null", "logger.project=None is not a name: give one, in quotes"),
        ("logger.tags=abc", r"logger.tags=abc is not a list of words: give \[a,b\]"),
        ("logger.name=foo", "logger.name=foo is not known: choose one of wandb, "),
        ("logger=[wandb,csv]", "logger= takes one choice, and no list of them"),
        ("model=[resnet11,resnet29]", "model= takes one choice"),
        ("dataset.name=../x", r"dataset.name=\.\./x is a part of the name of folders"),
        ("dataset.name=..", r"dataset.name=\.\. is a part of the name of folders"),
        ("model.name=a/b", "model.name=a/b is a part of the name of folders"),
        ("seed=-1", "seed=-1"),
        ("seed=4294967296", "seed=4294967296"),
        ("fresh=maybe", "fresh=maybe"),
        ("learning_rate=abc", "learning_rate=abc"),
        ("learning_rate=0", "learning_rate=0"),
        ("data_dir=null", "data_dir=None"),
        ("trainer.precision=64-true", "trainer.precision=64-true"),
        ("+trainer.max_steps=3", "give max_steps instead"),
        ("+trainer.limit_val_batches=0", "give evaluate_every instead"),
        ("+trainer.gradient_clip_val=1", "give method.grad_clip instead"),
        ("+trainer.overfit_batches=2", "give dataset.train_per_class instead"),
        ("+trainer.min_steps=3", "give max_steps instead"),
        ("+trainer.min_epochs=3", "give max_epochs instead"),
        ("+trainer.default_root_dir=here", "give run_dir instead"),
        ("+trainer.gradient_clip_algorithm=norm", "give method.grad_clip instead"),
        ("+trainer.callbacks=[]", "trainer.callbacks is not used here: leave it out"),
        ("+trainer.enable_checkpointing=false", "trainer.enable_checkpointing is not used here"),
        ("+trainer.enable_progress_bar=true", "trainer.enable_progress_bar is not used here"),
        ("+trainer.num_sanity_val_steps=2", "trainer.num_sanity_val_steps is not used here"),
        ("+trainer.use_distributed_sampler=true", "trainer.use_distributed_sampler is not used"),
        ("+trainer.reload_dataloaders_every_n_epochs=1", "is not used here: leave it out"),
        ("+trainer.barebones=true", "trainer.barebones is not used here"),
        ("+trainer.foo=3", "trainer.foo is not used here"),
        ("trainer.deterministic=maybe", "trainer.deterministic=maybe .*give true, false or warn"),
        ("trainer.benchmark=3", "trainer.benchmark=3 .*give true, false or null"),
        ("+trainer.inference_mode=7", "trainer.inference_mode=7"),
        ("+trainer.detect_anomaly=abc", "trainer.detect_anomaly=abc"),
        ("trainer.num_nodes=0", "trainer.num_nodes=0"),
        ("trainer.devices=abc", "trainer.devices='abc' is not possible: give how many, -1 or auto"),
        ("trainer.devices=0", "trainer.devices=0"),
        ("trainer.devices=true", "trainer.devices=True"),
        ("trainer.devices=[0,0]", "trainer.devices="),
        ("log_every=0", "log_every=0"),
        ("evaluate_every=0", "evaluate_every=0"),
        ("trainer.devices=3", "trainer.devices=3"),
        ("trainer.devices=200", "batch_size=100"),
        ("trainer.precision=16-mixed", "trainer.precision=16-mixed"),
        ("+trainer.sync_batchnorm=true", "sync_batchnorm"),
    ],
)
def test_impossible_values_are_refused_by_their_key(override: str, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        check_settings(settings(override))


def test_clipping_scaled_gradients_is_refused() -> None:
    made = settings("method=supervised", "trainer.precision=16-mixed", "method.grad_clip=1")
    with pytest.raises(ValueError, match=r"method\.grad_clip=1 would clip them scaled"):
        check_settings(made)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("noise=0",),
        ("probe_per_class=0", "method=supervised"),
        ("method=supervised", "trainer.precision=16-mixed"),
        ("trainer.devices=4",),
        ("trainer=ddp",),
        ("logger.tags=[a,5]", "logger.group=g"),
        ("logger=csv",),
        ("trainer=debug",),
        ("trainer.deterministic=warn", "trainer.benchmark=true", "+trainer.profiler=simple"),
        ("trainer.devices=auto",),
        ("trainer.devices=[0,1]",),
        ("trainer._target_=mine.Trainer", "+trainer.more=3"),
        ("max_steps=1",),
    ],
)
def test_possible_values_pass(overrides: tuple[str, ...]) -> None:
    check_settings(settings(*overrides))


class Mine(Supervised):
    """A method of one's own that needs no probe."""


def test_a_method_of_ones_own_says_itself_whether_it_needs_a_probe() -> None:
    target = "method._target_=tests.runs.test_settings"
    words = ("method=supervised", "probe_per_class=0", "trainer.precision=16-mixed")
    made = settings(*words, f"{target}.Mine")
    made["choices"]["method"] = "mine"
    check_settings(made)
    with pytest.raises(ValueError, match=r"_target_=tests\.runs\.test_settings\.Nobody, of method"):
        check_settings(settings(*words, f"{target}.Nobody"))


@pytest.mark.parametrize("name", ["supervised", "l2r", "ieg"])
def test_what_is_said_of_the_projects_methods_is_so(name: str) -> None:
    target = settings(f"method={name}")["method"]["_target_"]
    assert get_class(target).uses_probe == _USES_PROBE[target]


def test_a_sweep_of_jobs_on_many_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings("trainer=ddp", "trainer.devices=2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ValueError, match=r"trainer\.devices=2 in a multirun"):
        check_settings(made, sweeping=True)
    check_settings(made)
    check_settings(settings(), sweeping=True)
    monkeypatch.setenv("SLURM_NTASKS", "2")  # also seen by a script that starts one process
    with pytest.raises(ValueError, match=r"trainer\.devices=2 in a multirun"):
        check_settings(made, sweeping=True)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")  # srun started two
    check_settings(made, sweeping=True)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    monkeypatch.setenv("LOCAL_RANK", "0")
    check_settings(made, sweeping=True)


def test_where_and_how_do_not_make_another_experiment() -> None:
    one = settings()
    other = settings(
        "data_dir=/elsewhere",
        "trainer=cpu",
        "trainer.strategy=ddp",
        "logger=csv",
        "fresh=true",
        "dataset.num_workers=2",
    )
    assert differences(one, other) == []
    assert default_run_dir(one) == default_run_dir(other)


@pytest.mark.parametrize(
    "dataset",
    sorted(path.stem for path in (CONF / "dataset").glob("*.yaml") if path.stem != "folder"),
)
def test_where_a_data_set_lies_does_not_make_another_experiment(dataset: str) -> None:
    one = settings(f"dataset={dataset}")
    places = [f"dataset.{key}=/elsewhere" for key in one["dataset"] if key.endswith("_dir")]
    other = settings(f"dataset={dataset}", "data_dir=/elsewhere", *places)
    assert default_run_dir(one) == default_run_dir(other)


def test_which_pictures_of_ones_own_make_another_experiment() -> None:
    one, other = (settings("dataset=folder", f"data_dir={name}") for name in ("ape", "bee"))
    assert differences(one, other) == ["dataset.folder: ape → bee"]


@pytest.mark.parametrize(
    "override",
    [
        "noise=0.2",
        "seed=1",
        "method.temperature=1",
        "model=resnet29",
        "max_steps=7",
        "schedule=step",
    ],
)
def test_what_changes_a_number_makes_another_experiment(override: str) -> None:
    one, other = settings(), settings(override)
    assert differences(one, other)
    assert default_run_dir(one) != default_run_dir(other)


def test_batch_statistics_of_all_devices_make_another_experiment() -> None:
    one, other, said = (
        settings("method=supervised", *words)
        for words in ([], ["+trainer.sync_batchnorm=true"], ["+trainer.sync_batchnorm=false"])
    )
    assert differences(one, other) == ["trainer.sync_batchnorm: False → True"]
    assert default_run_dir(one) == default_run_dir(said) != default_run_dir(other)


def test_differences_name_key_and_both_values() -> None:
    assert differences(settings(), settings("batch_size=50")) == [
        "batch_size: 100 → 50",
        "dataset.batch_size: 100 → 50",
    ]


def test_the_folder_is_named_after_what_matters_to_people() -> None:
    name = default_run_dir(settings("method=l2r", "seed=3"))
    assert name.startswith("outputs/digits_asym-0.4-l2r-resnet11-s3-")


def without_what_was_added(made: dict[str, Any]) -> dict[str, Any]:
    """Return settings as the version before had them."""
    earlier = deepcopy(made)
    for key in LATER_ADDED_KEYS:
        group, _, name = key.partition(".")
        earlier[group].pop(name, None)  # no method but ieg has all of them
    return earlier


@pytest.mark.parametrize("method", ["supervised", "l2r", "ieg"])
def test_a_run_of_an_earlier_version_is_the_same_experiment(method: str) -> None:
    now = settings(f"method={method}")
    earlier = without_what_was_added(now)
    assert differences(earlier, now) == differences(now, earlier) == []
    assert default_run_dir(earlier) == default_run_dir(now)


def test_what_was_added_counts_where_it_changes_something() -> None:
    earlier, now = without_what_was_added(settings()), settings("speed.compile=true")
    assert differences(earlier, now) == ["speed.compile: False → True"]
    assert differences(now, earlier) == ["speed.compile: True → False"]
    assert default_run_dir(earlier) != default_run_dir(now)


def test_under_bfloat16_earlier_versions_did_what_is_a_switch_now() -> None:
    now = settings("trainer.precision=bf16-mixed")
    assert differences(without_what_was_added(now), now) == [
        "meta.float32: False → True",
        "method.meta_float32: False → True",
    ]
    as_before = settings("trainer.precision=bf16-mixed", "meta.float32=false")
    assert differences(without_what_was_added(now), as_before) == []


def test_keys_given_by_a_command() -> None:
    command = "python train.py noise=0.2 +trainer.profiler=simple ~augment 'labels=a b.csv'"
    assert keys_given(command) == {"noise", "trainer.profiler", "augment", "labels"}
    for unreadable in (None, 3, [], "", "python train.py 'labels=a"):
        assert keys_given(unreadable) == set()


def test_identity_is_flat_and_plain() -> None:
    flat = identity(settings())
    assert flat["method.ce_factor"] == 1.0
    assert not any(isinstance(value, dict) for value in flat.values())
    assert "choices.method" not in flat
