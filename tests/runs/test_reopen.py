from pathlib import Path

import pytest

from runs.reopen import merge_settings
from tests.compose import settings


@pytest.mark.parametrize(
    ("dataset", "moved"),
    [
        ("cifar10_asym", {"data_dir": "/new/place"}),
        ("folder", {"folder": "/new/place"}),
        (
            "webvision_mini",
            {
                "data_dir": "/new/place",
                "webvision_dir": "/new/place/webvision",
                "imagenet_dir": "/new/place/imagenet",
            },
        ),
    ],
)
def test_data_may_have_moved_since(dataset: str, moved: dict[str, str]) -> None:
    made = settings(f"dataset={dataset}", "data_dir=/old", "labels=/older/labels.csv")
    given = settings("mode=evaluate", "data_dir=/new/place")
    merged = merge_settings(
        made, given, ["mode=evaluate", "data_dir=/new/place"], Path("last.ckpt")
    )
    changed = {key for key in made["dataset"] if merged["dataset"][key] != made["dataset"][key]}
    assert {key: merged["dataset"][key] for key in changed} == moved


def test_a_checkpoint_of_an_earlier_version_did_what_is_the_default_now() -> None:
    made = settings()
    del made["speed"], made["method"]["guess_trust"]
    for same in ("speed.compile=false", "method.guess_trust=0"):
        merge_settings(made, settings(same), [same], Path("last.ckpt"))
    made["trainer"]["precision"], given = "bf16-mixed", settings("meta.float32=false")
    del made["meta"]["float32"]
    merge_settings(made, given, ["meta.float32=false"], Path("last.ckpt"))  # it was all in bfloat16
    with pytest.raises(ValueError, match=r"was made with speed\.compile=False, not .*=True"):
        merge_settings(
            made, settings("speed.compile=true"), ["speed.compile=true"], Path("last.ckpt")
        )


def test_what_a_checkpoint_was_made_with_cannot_be_changed() -> None:
    made, given = settings("noise=0.2"), settings("mode=evaluate", "noise=0.4")
    with pytest.raises(ValueError, match=r"last\.ckpt was made with noise=0\.2, not noise=0\.4"):
        merge_settings(made, given, ["mode=evaluate", "noise=0.4"], Path("last.ckpt"))
