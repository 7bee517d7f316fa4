"""A folder of the user's own pictures, labelled by a table or by the folders they are in."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.atomic import write_text
from datamodules.base import TEST, TestSet
from datamodules.config_checks import is_number
from datamodules.folder_rows import (
    PictureRow,
    mark_trusted,
    natural_sort_key,
    note_lost_classes,
    note_true_only_classes,
    read_folder_rows,
    read_table_rows,
)
from datamodules.held_out import choose_held_out
from datamodules.images import Images
from datamodules.label_first import suggest
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.phrases import as_shell_argument, counted
from datamodules.picture_data import PictureDataModule
from datamodules.picture_lists import LabelledPaths, PicturePaths, TrainingList
from datamodules.split import CHECKED, Checked, Mask, Unlabelled, insert_every
from datamodules.tables import as_paths, has_entries, is_utf8, read_table, table_writer

# How many labels of each class to check for a first probe set.
SUGGESTED_PER_CLASS = 10

# In a run's folder: which pictures it has, whatever becomes of the lists that said so.
LISTING_FILE = "listing.json"


class Folder(PictureDataModule):
    """The user's own pictures.

    The test set is the test split, if there is one. Otherwise it is about `test_share` of the
    trusted rows if that is at least one in half of the classes, else of all labelled rows; a note
    says so. It does not depend on the seed, and a picture in it stays there when more labels are
    checked, unless only now they are enough for a test set of trusted rows. If lists of checked
    pictures say that some of them were tested on, it is about `test_share` of all labelled rows,
    and those: to be tested on no others than doubtful pictures that were checked would say little.
    If the labels of a part of it are known to be right, that part is a second test set, `checked`.

    Args:
        folder: the folder of the pictures; unlike other data sets' `data_dir`, it identifies them.
        labels: the table (see `folder_rows.read_table_rows`) or the `labels.npz` of a run; None:
            folders are classes.
        table: the table, where `labels` is a `labels.npz`.
        trusted: one or more lists of checked pictures (see `folder_rows.mark_trusted`), or None.
        test_share: share of the rows to test on, where there is no test split.
        kept: a file written by `save_for_evaluation`, to be read instead of folders, table and
            lists; or None.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if there are no pictures, or a list does not fit them.
    """

    def __init__(
        self,
        *,
        folder: str | Path,
        labels: str | None = None,
        table: str | None = None,
        trusted: str | Sequence[str] | None = None,
        test_share: float = 0.2,
        kept: str | Path | None = None,
        **rest: Any,
    ) -> None:
        if not is_number(test_share) or not 0 < test_share < 1:
            raise ValueError(
                f"dataset.test_share={test_share} is no share: give one between 0 and 1."
            )
        is_manifest = labels is not None and labels.endswith(".npz")
        self.table = table if is_manifest else labels or table
        self.trusted = as_paths(trusted)
        self.test_share = test_share
        self._kept_file = kept
        super().__init__(data_dir=folder, labels=labels if is_manifest else None, **rest)
        self._checked_tests = np.flatnonzero(self._test_is_trusted)
        if 0 < len(self._checked_tests) < len(self._test_is_trusted):
            self.test_names += (CHECKED,)

    def read_training_list(self) -> TrainingList:
        """Read the table, or look through the folders."""
        if not self.data_dir.is_dir():
            raise ValueError(
                f"data_dir={self.data_dir} is no folder: give the one of the pictures."
            )
        rows = (
            self._read_rows() if self._kept_file is None else _read_listing(Path(self._kept_file))
        )
        label_names = {row.label for row in rows} | {row.true_label for row in rows}
        names = tuple(sorted(label_names - {""}, key=natural_sort_key))
        if len(names) < 2:
            raise ValueError(
                f"{self.data_dir} has {len(names)} classes: give pictures of two or more."
            )
        class_of = {name: index for index, name in enumerate(names)} | {"": -1}
        given = np.array([class_of[row.label] for row in rows], dtype=np.int64)
        true = np.array([class_of[row.true_label] for row in rows], dtype=np.int64)
        trusted = np.array([row.trusted for row in rows])
        true = np.where(trusted & (true < 0), given, true)
        self._has_test_split = any(row.test for row in rows)
        test = self._test_rows(rows, np.where(true >= 0, true, given), trusted, names)
        self._listing_rows = [
            row._replace(test=bool(is_test)) for row, is_test in zip(rows, test, strict=True)
        ]
        train = ~test & ((given >= 0) | trusted)
        if unused := int((~test & ~train).sum()):
            self.notes.append(f"{counted(unused, 'row')} of the table without a label: not used")
        tested = test & ((true >= 0) | (given >= 0))
        self._unlabelled = [
            Unlabelled(row.path, "test" if row.test else "train", row.true_label, row.given_label)
            for row, is_used in zip(rows, train | tested, strict=True)
            if not is_used
        ]
        self._test_is_trusted = (true >= 0)[tested]
        self._test_list = LabelledPaths(
            *self._paths_of(rows, tested), np.where(true >= 0, true, given)[tested]
        )
        return TrainingList(
            self._paths_of(rows, train), given[train], true[train], trusted[train], names
        )

    def _read_rows(self) -> list[PictureRow]:
        if self.table is None:
            rows, left_out = read_folder_rows(self.data_dir)
            self.notes += left_out
        else:
            rows = read_table_rows(Path(self.table).expanduser().absolute(), "labels")
            self._check_encoding(rows)
            self.notes += note_true_only_classes(rows)
        rows = mark_trusted(
            rows, [Path(checked).expanduser().absolute() for checked in self.trusted]
        )
        self.notes += note_lost_classes(rows)
        return rows

    def save_for_evaluation(self, folder: Path) -> None:
        """Write down which pictures there are and what is said of them, for `kept`."""
        write_text(folder / LISTING_FILE, json.dumps(self._listing_rows))

    def _check_encoding(self, rows: Sequence[PictureRow]) -> None:
        """Raise an error if a path is not UTF-8 and no such file exists: a wrong encoding."""
        for row in rows:
            if not is_utf8(row.path) and not (self.data_dir / row.path).exists():
                raise ValueError(
                    f"labels={self.table} names {row.path!a}, which is no UTF-8 and not in "
                    f"data_dir={self.data_dir}: save the table as UTF-8."
                )

    def _paths_of(self, rows: Sequence[PictureRow], chosen: Mask) -> PicturePaths:
        return PicturePaths(
            self.data_dir,
            [row.path for row, is_chosen in zip(rows, chosen, strict=True) if is_chosen],
        )

    def _test_rows(
        self, rows: Sequence[PictureRow], label: Labels, trusted: Mask, names: Sequence[str]
    ) -> Mask:
        if self._has_test_split:
            test = np.array([row.test for row in rows])
            num_known = sum(row.test and (row.trusted or row.true_label != "") for row in rows)
            if num_known < test.sum() and (num_known or self.table):  # nobody checks folders
                self.notes.append(
                    f"of {test.sum():,} pictures to test on, {num_known:,} have labels that were "
                    "checked; the others may be labelled wrongly"
                )
            return test
        test, notes = choose_held_out(rows, label, trusted, names, self.test_share)
        self.notes += notes
        return test

    def checked(self) -> Checked:
        """Return the trusted rows: in a folder of the user's own, all of them are the user's."""
        trusted = self.training_list.trusted
        return Checked(np.flatnonzero(trusted), self.training_list.true[trusted])

    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return the test set."""
        return {TEST: self._test_list}

    def _set_data(self, images: Images, manifest: Manifest, tests: Mapping[str, TestSet]) -> None:
        if CHECKED in self.test_names:
            rows, label = self._checked_tests, self._test_list.label
            tests = {**tests, CHECKED: TestSet(tests[TEST].images, label[rows], rows)}
        super()._set_data(images, manifest, tests)

    def tested_pictures(self) -> Sequence[tuple[str, int, bool]]:
        """Return each test picture's path, label, and whether the label is known to be right."""
        paths, label = self._test_list.files.paths, self._test_list.label
        return list(zip(paths, label.tolist(), self._test_is_trusted.tolist(), strict=True))

    def unlabelled_pictures(self) -> Sequence[Unlabelled]:
        """Return the rows of the table without a label, neither trained nor tested on."""
        return self._unlabelled

    def advice_without_probe(self) -> str:
        """Write a list of labels to check first; return advice on how to use it.

        A list that somebody has begun to fill in is left as it is.
        """
        if self.trusted:
            return (
                f"dataset.trusted={', '.join(self.trusted)} trusts no picture to train with: fill "
                "in true_label of some that are not in the test split."
            )
        path = self._suggestions_file()
        if has_entries(path, "true_label"):
            return (
                f"No label in {self.data_dir} is trusted, and this method needs some. {path} is "
                f"filled in: give {as_shell_argument('dataset.trusted', path)}; or move it away "
                "for a new list."
            )
        suggested = self._suggest()
        path.parent.mkdir(exist_ok=True)
        with table_writer(path, ["path", "label", "true_label", "tested"]) as rows:
            rows.writerows(suggested)
        return (
            f"No label in {self.data_dir} is trusted, and this method needs some: "
            f"{SUGGESTED_PER_CLASS} of each class are a good start. {path} lists which to check "
            f"first; write the right class into its column true_label, as many as you can, and "
            f"give {as_shell_argument('dataset.trusted', path)}. method=supervised needs none."
        )

    def _suggest(self) -> list[list[str]]:
        """Return the rows of a list of pictures to check first.

        Without a test split a share of them is held out of training, so that the test set has
        checked labels too.
        """
        num_held_out = 0  # of each class
        if not self._has_test_split:
            num_held_out = round(SUGGESTED_PER_CLASS * self.test_share)
            num_held_out = min(max(1, num_held_out), SUGGESTED_PER_CLASS - 1)

        def choose(
            files: PicturePaths, label: Labels, per_class: int, description: str, tested: str
        ) -> list[list[str]]:
            if not per_class or not len(label):
                return []
            images = self._checked_images(files, description)
            rows = suggest(images, label, per_class, lambda rows: self._unread(files, rows))
            names = self.training_list.class_names
            return [[files.paths[row], names[label[row]], "", tested] for row in rows.tolist()]

        training, test = self.training_list, self._test_list
        num_others = SUGGESTED_PER_CLASS - num_held_out
        held_out = choose(test.files, test.label, num_held_out, "test", "yes")
        others = choose(training.files, training.given, num_others, "training", "no")
        # not all held-out ones first, however large their share is
        distance = max(2, SUGGESTED_PER_CLASS // max(1, num_held_out))
        return insert_every(distance, held_out, others)

    def _suggestions_file(self) -> Path:
        """Return where that list goes; a folder of the same name may have one there."""
        folder = self.data_dir.resolve()
        path = Path("outputs") / f"{folder.name}-label_these_first.csv"
        if not path.exists():
            return path
        try:
            own = {*self.training_list.files.paths, *self._test_list.paths}
            foreign = set(read_table(path, "list", ("path",))["path"]) - own
        except ValueError:  # somebody works at it
            foreign = set()
        if not foreign:
            return path
        folder_hash = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:6]
        return path.with_name(f"{folder.name}-{folder_hash}-label_these_first.csv")


def _read_listing(file: Path) -> list[PictureRow]:
    try:
        rows = [PictureRow(*row) for row in json.loads(file.read_text(encoding="utf-8"))]
        if rows and all(isinstance(row.path, str) for row in rows):
            return rows
        reason = "it names no pictures"
    except (OSError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
    raise ValueError(
        f"{file} is damaged ({reason}): put it back, or take it away; then the lists and folders "
        "that the run's settings name are read again, if they are as they were."
    )
