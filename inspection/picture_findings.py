"""Findings about single pictures: missing, unreadable, duplicate, in training and test data."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.pictures import PictureFiles
from inspection.duplicates import PROBE, Copy, Group, groups_of, leaking, sort_out
from inspection.findings import Findings, Problem
from inspection.looking import MISSING, UNREADABLE, Split

LEAK, OTHER_LABEL, SAME_LABEL = "leak", "copy_other_label", "copy_same_label"

# Examples shown on the terminal.
_SHOWN = 5


class Pictures:
    """Adds what was seen in some splits to the findings.

    Args:
        findings: what to add to.
        found: split → what was seen.
        class_names: of the classes.
        file: where all problems will be listed.
    """

    def __init__(
        self,
        findings: Findings,
        found: Mapping[str, Split],
        class_names: Sequence[str],
        file: Path,
    ) -> None:
        self.findings = findings
        self.found = found
        self.class_names = class_names
        self.file = file

    def add(self) -> None:
        """Add all."""
        self._add_trouble()
        groups = groups_of(
            {name: split.digests for name, split in self.found.items()},
            {name: split.of.label.numpy() for name, split in self.found.items()},
        )
        alike = sort_out(groups)
        self._add_leaks(alike.leaks)
        self._add_other_label(alike.other_label)
        self._add_same_label(alike.same_label)
        if alike.tests:
            self.findings.notes.append(f"pictures in more than one test set: {len(alike.tests):,}")
        self.findings.facts["pictures_in_several_test_sets"] = len(alike.tests)

    def _add_trouble(self) -> None:
        places = {
            kind: [
                (name, place)
                for name, split in self.found.items()
                for place, seen in split.trouble.items()
                if seen.problem == kind
            ]
            for kind in (MISSING, UNREADABLE)
        }
        for kind, those in places.items():
            self.findings.facts[kind] = dict(Counter(name for name, _ in those))
            for name, place in those:
                split = self.found[name]
                said = Problem(split.name(place), name, kind, split.trouble[place].detail)
                self.findings.problems.append(said)
        total = sum(len(split.digests) for split in self.found.values())
        if missing := places[MISSING]:
            self.findings.blocks.append(
                f"Missing pictures: {len(missing):,} of {total:,} ({_by_split(missing)}), such as "
                f"{self._path(*missing[0])}; put them there, set data_dir to where they are, or "
                f"leave them out of the list; {self.file} names all."
            )
        if bad := places[UNREADABLE]:
            self.findings.warn(
                f"{len(bad):,} of {total:,} pictures cannot be read ({_by_split(bad)}); training "
                "goes on with grey ones instead",
                [
                    f"{self._path(name, place)}: {self.found[name].trouble[place].detail}"
                    for name, place in bad[:_SHOWN]
                ],
            )

    def _add_leaks(self, groups: list[Group]) -> None:
        ways: dict[tuple[str, str], list[tuple[Copy, Copy]]] = defaultdict(list)
        for group in groups:
            for copy, other in leaking(group):
                ways[copy.split, other.split].append((copy, other))
                self._problem(copy, LEAK, f"also in {other.split}: {self._called(other)}")
        self.findings.facts["leaks"] = {
            f"{split}_in_{other}": len(pairs) for (split, other), pairs in ways.items()
        }
        for (split, where), pairs in ways.items():
            why = (
                "they are also in the probe, where their right label is known"
                if where == PROBE
                else f"they are also in {where}, which would judge by what was learnt"
            )
            self.findings.warn(
                f"LEAK: {self._share(len(pairs), split)} should not be trained on: {why}",
                [f"{self._called(copy)} is {self._called(twin)}" for copy, twin in pairs[:_SHOWN]],
            )

    def _add_other_label(self, groups: list[Group]) -> None:
        by_split: dict[str, list[Group]] = defaultdict(list)
        for group in groups:
            by_split[group[0].split].append(group)
            for copy in group:
                other = next(one for one in group if one.label != copy.label)
                more = f", {len(group)} copies in all" if len(group) > 2 else ""
                self._problem(copy, OTHER_LABEL, f"the same as {self._called(other)}{more}")
        self.findings.facts["copies_with_other_label"] = {
            split: sum(map(len, alike)) for split, alike in by_split.items()
        }
        for split, alike in by_split.items():
            self.findings.warn(
                "copies with different labels, of which one at most is right: "
                f"{self._share(sum(map(len, alike)), split)}",
                [
                    " is ".join(self._called(copy) for copy in group[:3])
                    + (f" and {len(group) - 3} more" if len(group) > 3 else "")
                    for group in alike[:_SHOWN]
                ],
            )

    def _add_same_label(self, groups: list[Group]) -> None:
        more: Counter[str] = Counter()
        for group in groups:
            first = group[0]
            more[first.split] += len(group) - 1
            for copy in group[1:]:
                self._problem(copy, SAME_LABEL, f"the same as {self._called(first)}")
        self.findings.facts["copies_with_same_label"] = dict(more)
        for split, count in more.items():
            self.findings.notes.append(
                "copies with the same label, which count more than once: "
                f"{self._share(count, split)}"
            )

    def _problem(self, copy: Copy, problem: str, detail: str) -> None:
        name = self.found[copy.split].name(copy.place)
        self.findings.problems.append(Problem(name, copy.split, problem, detail))

    def _share(self, count: int, split: str) -> str:
        return f"{count:,} of {len(self.found[split].digests):,} {split} pictures"

    def _called(self, copy: Copy) -> str:
        label = self.class_names[copy.label]
        return f"{self.found[copy.split].name(copy.place)} ({copy.split}, {label})"

    def _path(self, name: str, place: int) -> str:
        """Return where a picture should be."""
        split = self.found[name]
        images = split.of.images
        row = int(split.of.index[place])
        return str(images.path(row)) if isinstance(images, PictureFiles) else split.name(place)


def _by_split(places: list[tuple[str, int]]) -> str:
    counted = Counter(name for name, _ in places)
    return ", ".join(f"{count:,} {name}" for name, count in counted.items())
