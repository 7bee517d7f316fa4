"""docs/differences.md: every place it names is there, and every setting it offers is accepted."""

import ast
import re
from collections.abc import Iterator

import pytest
import yaml

from runs.build import build_data, build_module, build_schedule
from tests.compose import ROOT, settings

PAGE = (ROOT / "docs" / "differences.md").read_text()
PLACES = sorted(set(re.findall(r"\[`([\w.]+)`\]\(\.\./([\w/]+\.\w+)\)", PAGE)))
_KEYS = r"method|model|meta|augment|dataset\.draws"
OFFERED = sorted(set(re.findall(rf"`((?:{_KEYS})[\w.]*=[\w.]+)`", PAGE)))


def names(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield from (prefix + node.name, node.name)
            yield from names(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize(("name", "path"), PLACES)
def test_every_place_is_there(name: str, path: str) -> None:
    text = (ROOT / path).read_text()
    if path.endswith(".yaml"):
        keys = yaml.safe_load(text)
        assert name in keys or any(name in v for v in keys.values() if isinstance(v, dict))
    else:
        assert name in names(ast.parse(text))


@pytest.mark.parametrize("override", OFFERED)
def test_every_setting_it_offers_is_accepted(override: str) -> None:
    made = settings("model=resnet11", override)
    data = build_data(made)
    schedule, _ = build_schedule(made, data)
    assert build_module(made, data, schedule)


def test_a_setting_that_it_does_not_offer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"method\.mixup_share=foo"):
        test_every_setting_it_offers_is_accepted("method.mixup_share=foo")


def test_all_rows_are_answered_in_order() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \| .*\|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 39))
    assert all(answer for _, answer in rows)
    assert len(PLACES) > 30
    assert len(OFFERED) >= 7
