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
