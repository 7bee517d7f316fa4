"""The house: which part may know which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each may import those before it.
PARTS = (
    "datamodules",
    "models",
    "lightning_modules",
    "audit",
    "callbacks",
    "report",
    "runs",
    "inspection",
    "benchmarks",
)


def imported(file: Path) -> set[str]:
    """Return the first names of all that a file imports, at its top or later."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_knows_only_those_below_it(part: str) -> None:
    files = sorted((ROOT / part).rglob("*.py"))
    assert files
    above = {*PARTS[PARTS.index(part) + 1 :], "tests"}
    upward = {str(file.relative_to(ROOT)): imported(file) & above for file in files}
    assert not {file: names for file, names in upward.items() if names}
