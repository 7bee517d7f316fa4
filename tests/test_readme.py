"""The README's commands: the two that set up are run by CI as they stand; all others compose."""

import re
import shlex

import pytest

from tests.compose import ROOT, settings

README, *OTHERS = (
    (ROOT / page).read_text() for page in ("README.md", "docs/data.md", "docs/audit.md")
)
BLOCKS = re.findall(r"```sh\n(.*?)```", "".join([README, *OTHERS]), flags=re.DOTALL)
COMMANDS = [
    line.split("&&")[-1].strip()
    for block in BLOCKS
    for line in block.splitlines()
    if "train.py" in line
]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 4
    for name in ("main", "tests"):
        assert re.search(
            rf"<!-- ci: {name} -->\n```sh\n[^`]*pip install -c constraints.txt", README
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command: str) -> None:
    words = shlex.split(
        command.replace("<run folder>", "run").replace("<host>", "host"), comments=True
    )
    assert words[0] in ("python", "torchrun", "srun")
    ours = words[words.index("train.py") + 1 :]
    overrides = [word.split(",")[0] for word in ours if not word.startswith("--")]
    assert settings(*overrides)


def test_every_file_it_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|yaml|txt))`", README) + re.findall(
        r"\]\(([\w/.]+)\)", README
    )
    assert named
    places = [ROOT, ROOT / "lightning_modules", ROOT / "datamodules"]
    made_by_runs = {"config.yaml"}
    for name in set(named) - made_by_runs:
        assert any((place / name).exists() for place in places), name
