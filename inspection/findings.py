"""What `mode=check` finds: errors, warnings, notes and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inspection.class_counts import Row as ClassRow


class Problem(NamedTuple):
    """What is wrong with one picture: a row of `check_problems.csv`."""

    path: str  # as the list has it; for images in memory, `row <number>`
    split: str  # noisy, probe, or a test set
    problem: str
    detail: str


class FindingWarning(NamedTuple):
    """A warning, which does not keep training from starting."""

    sentence: str
    examples: Sequence[str] = ()  # for the terminal, a line each; the problems list all


@dataclass(eq=False)
class Findings:
    """All findings, collected before anything is printed.

    Attributes:
        errors: those that keep training from starting, a sentence each.
        warnings: what the user should think about.
        notes: what the user may like to know, a sentence each.
        problems: about single pictures.
        splits: names of the columns of counts.
        classes: counts and noise of each class.
        facts: further numbers, ready for JSON.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[FindingWarning] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    classes: list[ClassRow] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def warn(self, sentence: str, examples: Sequence[str] = ()) -> None:
        """Add a warning."""
        self.warnings.append(FindingWarning(sentence, examples))
