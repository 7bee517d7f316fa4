"""What docs/metrics.md promises."""

import re

from tests.compose import ROOT


def documented(heading: str, method: str) -> set[str]:
    """Return the names in a section's table that a method is said to have."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    section = page.split(f"# {heading}\n")[1].split("\n## ")[0]
    names: set[str] = set()
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith("`"):
            methods = cells[4] if len(cells) == 6 else cells[2]
            if methods == "all" or method in methods.split(", "):
                names |= set(re.findall(r"`([^`]+)`", cells[0]))
    return names
