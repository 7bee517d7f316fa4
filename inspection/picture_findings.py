"""Findings about single pictures: missing, unreadable, duplicate, in training and test data."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.pictures import PictureFiles
from inspection.duplicates import (
    PROBE,
    Copy,
    Group,
    group_equal_pictures,
    leaking_pairs,
    sort_by_kind,
)
from inspection.findings import Findings, Problem
from inspection.picture_scan import MISSING, UNREADABLE, ScannedSplit

LEAK, OTHER_LABEL, SAME_LABEL = "leak", "copy_other_label", "copy_same_label"

# Examples shown on the terminal.
_SHOWN = 5


class PictureFindings:
    """Adds what the scan of some splits found to the findings.

    Args:
        findings: what to add to.
        scanned_splits: split → what was found in its pictures.
        class_names: of the classes.
        file: where all problems will be listed.
    """

    def __init__(
        self,
        findings: Findings,
        scanned_splits: Mapping[str, ScannedSplit],
        class_names: Sequence[str],
        file: Path,
    ) -> None:
        self.findings = findings
        self.scanned_splits = scanned_splits
        self.class_names = class_names
        self.file = file

    def add_all(self) -> None:
        """Add everything."""
        self._add_unreadable()
        groups = group_equal_pictures(
            {name: split.digests for name, split in self.scanned_splits.items()},
            {name: split.examples.label.numpy() for name, split in self.scanned_splits.items()},
        )
        duplicates = sort_by_kind(groups)
        self._add_leaks(duplicates.leaks)
        self._add_other_label(duplicates.other_label)
        self._add_same_label(duplicates.same_label)
        if duplicates.in_several_tests:
            self.findings.notes.append(
                f"pictures in more than one test set: {len(duplicates.in_several_tests):,}"
            )
        self.findings.facts["pictures_in_several_test_sets"] = len(duplicates.in_several_tests)

    def _add_unreadable(self) -> None:
        places = {
            kind: [
                (name, position)
                for name, split in self.scanned_splits.items()
                for position, picture in split.problems.items()
                if picture.problem == kind
            ]
            for kind in (MISSING, UNREADABLE)
        }
        for kind, places_of_kind in places.items():
            self.findings.facts[kind] = dict(Counter(name for name, _ in places_of_kind))
            for name, position in places_of_kind:
                split = self.scanned_splits[name]
                row = Problem(split.name_of(position), name, kind, split.problems[position].detail)
                self.findings.problems.append(row)
        total = sum(len(split.digests) for split in self.scanned_splits.values())
        if missing := places[MISSING]:
            self.findings.errors.append(
                f"Missing pictures: {len(missing):,} of {total:,} ({_by_split(missing)}), such as "
                f"{self._path(*missing[0])}; put them there, set data_dir to where they are, or "
                f"leave them out of the list; {self.file} names all."
            )
        if unreadable := places[UNREADABLE]:
            self.findings.warn(
                f"{len(unreadable):,} of {total:,} pictures cannot be read "
                f"({_by_split(unreadable)}); training "
                "goes on with grey ones instead",
                [
                    f"{self._path(name, position)}: "
                    f"{self.scanned_splits[name].problems[position].detail}"
                    for name, position in unreadable[:_SHOWN]
                ],
            )

    def _add_leaks(self, groups: list[Group]) -> None:
        pairs_by_splits: dict[tuple[str, str], list[tuple[Copy, Copy]]] = defaultdict(list)
        for group in groups:
            for copy, leaked_copy in leaking_pairs(group):
                pairs_by_splits[copy.split, leaked_copy.split].append((copy, leaked_copy))
                self._add_problem(
                    copy, LEAK, f"also in {leaked_copy.split}: {self._described(leaked_copy)}"
                )
        self.findings.facts["leaks"] = {
            f"{split}_in_{other_split}": len(pairs)
            for (split, other_split), pairs in pairs_by_splits.items()
        }
        for (split, other_split), pairs in pairs_by_splits.items():
            reason = (
                "they are also in the probe, where their right label is known"
                if other_split == PROBE
                else f"they are also in {other_split}, which would judge by what was learnt"
            )
            self.findings.warn(
                f"LEAK: {self._share(len(pairs), split)} should not be trained on: {reason}",
                [
                    f"{self._described(copy)} is {self._described(leaked_copy)}"
                    for copy, leaked_copy in pairs[:_SHOWN]
                ],
            )

    def _add_other_label(self, groups: list[Group]) -> None:
        by_split: dict[str, list[Group]] = defaultdict(list)
        for group in groups:
            by_split[group[0].split].append(group)
            for copy in group:
                other = next(candidate for candidate in group if candidate.label != copy.label)
                count_in_all = f", {len(group)} copies in all" if len(group) > 2 else ""
                self._add_problem(
                    copy, OTHER_LABEL, f"the same as {self._described(other)}{count_in_all}"
                )
        self.findings.facts["copies_with_other_label"] = {
            split: sum(map(len, split_groups)) for split, split_groups in by_split.items()
        }
        for split, split_groups in by_split.items():
            self.findings.warn(
                "copies with different labels, of which one at most is right: "
                f"{self._share(sum(map(len, split_groups)), split)}",
                [
                    " is ".join(self._described(copy) for copy in group[:3])
                    + (f" and {len(group) - 3} more" if len(group) > 3 else "")
                    for group in split_groups[:_SHOWN]
                ],
            )

    def _add_same_label(self, groups: list[Group]) -> None:
        extra_copies: Counter[str] = Counter()
        for group in groups:
            first = group[0]
            extra_copies[first.split] += len(group) - 1
            for copy in group[1:]:
                self._add_problem(copy, SAME_LABEL, f"the same as {self._described(first)}")
        self.findings.facts["copies_with_same_label"] = dict(extra_copies)
        for split, count in extra_copies.items():
            self.findings.notes.append(
                "copies with the same label, which count more than once: "
                f"{self._share(count, split)}"
            )

    def _add_problem(self, copy: Copy, problem: str, detail: str) -> None:
        name = self.scanned_splits[copy.split].name_of(copy.position)
        self.findings.problems.append(Problem(name, copy.split, problem, detail))

    def _share(self, count: int, split: str) -> str:
        return f"{count:,} of {len(self.scanned_splits[split].digests):,} {split} pictures"

    def _described(self, copy: Copy) -> str:
        label = self.class_names[copy.label]
        return f"{self.scanned_splits[copy.split].name_of(copy.position)} ({copy.split}, {label})"

    def _path(self, name: str, position: int) -> str:
        """Return where a picture should be."""
        split = self.scanned_splits[name]
        images = split.examples.images
        row = int(split.examples.index[position])
        return (
            str(images.path(row)) if isinstance(images, PictureFiles) else split.name_of(position)
        )


def _by_split(places: list[tuple[str, int]]) -> str:
    counted = Counter(name for name, _ in places)
    return ", ".join(f"{count:,} {name}" for name, count in counted.items())
