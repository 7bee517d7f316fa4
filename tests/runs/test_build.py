import pytest

from runs.training import prepare
from tests.compose import settings


@pytest.mark.parametrize("key", ["dataset", "method", "model.net", "schedule"])
def test_a_setting_that_nobody_knows_is_refused_by_its_key(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key}\.foo is no setting of \w+\.\w+"):
        prepare(settings(f"+{key}.foo=3"))


def test_an_error_of_ones_own_code_is_not_taken_for_a_setting() -> None:
    with pytest.raises(TypeError):
        prepare(settings("model.net._target_=builtins.len"))


@pytest.mark.parametrize(
    ("words", "on"), [(["trainer=cpu"], "1 x cpu"), (["trainer=ddp", "trainer.devices=2"], "2 x")]
)
def test_steps_are_recorded_on_one_gpu_alone(words: list[str], on: str) -> None:
    with pytest.raises(ValueError, match=rf"speed\.cuda_graph=true is for one NVIDIA GPU.*{on}"):
        prepare(settings("speed.cuda_graph=true", *words))
