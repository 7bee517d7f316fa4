"""A folder of the user's own pictures, labelled by a table or by the folders they are in."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.atomic import write_text
from datamodules.bounds import is_number
from datamodules.folder_rows import Row, from_folders, from_table, natural, only_true, trust
from datamodules.label_first import suggest
from datamodules.listing import Files, Labelled, Listing, last_parts
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.picture_data import PictureDataModule
from datamodules.split import Checked, Mask
from datamodules.tables import is_filled_in, is_utf8, read_table, several, writing_table
from datamodules.words import counted, some, typed

# How many labels of each class to check for a first probe set.
FIRST_PER_CLASS = 10

# In a run's folder: which pictures it has, whatever becomes of the lists that said so.
KEPT = "listing.json"


class Folder(PictureDataModule):
    """The user's own pictures.

    The test set is the test split, if there is one. Otherwise it is about `test_share` of the
    trusted rows if that is at least one in half of the classes, else of all labelled rows; a note
    says so. It does not depend on the seed, and a picture in it stays there when more labels are
    checked.

    Args:
        folder: the folder of the pictures; unlike other data sets' `data_dir`, it identifies them.
        labels: the table (see `folder_rows.from_table`) or the `labels.npz` of a run; None: folders
            are classes.
        table: the table, where `labels` is a `labels.npz`.
        trusted: one or more lists of checked pictures (see `folder_rows.trust`), or None.
        test_share: share of the rows to test on, where there is no test split.
        kept: a file written by `keep`, to be read instead of folders, table and lists; or None.
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
        drawn = labels is not None and labels.endswith(".npz")
        self.table = table if drawn else labels or table
        self.trusted = several(trusted)
        self.test_share = test_share
        self._kept = kept
        super().__init__(data_dir=folder, labels=labels if drawn else None, **rest)

    def listing(self) -> Listing:
        """Read the table, or look through the folders."""
        if not self.data_dir.is_dir():
            raise ValueError(
                f"data_dir={self.data_dir} is no folder: give the one of the pictures."
            )
        rows = self._listed_rows() if self._kept is None else _read_kept(Path(self._kept))
        named = {row.label for row in rows} | {row.true_label for row in rows}
        names = tuple(sorted(named - {""}, key=natural))
        if len(names) < 2:
            raise ValueError(
                f"{self.data_dir} has {len(names)} classes: give pictures of two or more."
            )
        number = {name: place for place, name in enumerate(names)} | {"": -1}
        given = np.array([number[row.label] for row in rows], dtype=np.int64)
        true = np.array([number[row.true_label] for row in rows], dtype=np.int64)
        trusted = np.array([row.trusted for row in rows])
        true = np.where(trusted & (true < 0), given, true)
        test = self._test_rows(rows, np.where(true >= 0, true, given), trusted, names)
        self._rows = [row._replace(test=bool(one)) for row, one in zip(rows, test, strict=True)]
        train = ~test & ((given >= 0) | trusted)
        if unused := int((~test & ~train).sum()):
            self.notes.append(f"{counted(unused, 'row')} of the table without a label: not used")
        judged = test & ((true >= 0) | (given >= 0))
        self._test_known = (true >= 0)[judged]
        self._test = Labelled(*self._files(rows, judged), np.where(true >= 0, true, given)[judged])
        return Listing(self._files(rows, train), given[train], true[train], trusted[train], names)

    def _listed_rows(self) -> list[Row]:
        if self.table is None:
            rows, left_out = from_folders(self.data_dir)
            self.notes += left_out
        else:
            rows = from_table(Path(self.table).expanduser().absolute(), "labels")
            self._refuse_latin_1(rows)
            self.notes += only_true(rows)
        return trust(rows, [Path(checked).expanduser().absolute() for checked in self.trusted])

    def keep(self, folder: Path) -> None:
        """Write down which pictures there are and what is said of them, for `kept`."""
        write_text(folder / KEPT, json.dumps(self._rows))

    def _refuse_latin_1(self, rows: Sequence[Row]) -> None:
        """Raise an error if a path is not UTF-8 and no such file exists: a wrong encoding."""
        for row in rows:
            if not is_utf8(row.path) and not (self.data_dir / row.path).exists():
                raise ValueError(
                    f"labels={self.table} names {row.path!a}, which is no UTF-8 and not in "
                    f"data_dir={self.data_dir}: save the table as UTF-8."
                )

    def _files(self, rows: Sequence[Row], chosen: Mask) -> Files:
        return Files(
            self.data_dir, [row.path for row, yes in zip(rows, chosen, strict=True) if yes]
        )

    def _test_rows(
        self, rows: Sequence[Row], label: Labels, trusted: Mask, names: Sequence[str]
    ) -> Mask:
        test = np.array([row.test for row in rows])
        if test.any():
            known = sum(row.test and (row.trusted or row.true_label != "") for row in rows)
            if known < test.sum() and (known or self.table):  # nobody checks folders
                self.notes.append(
                    f"of {test.sum():,} pictures to test on, {known:,} have labels that were "
                    "checked; the others may be labelled wrongly"
                )
            return test
        count = np.bincount(label[trusted], minlength=len(names))
        from_trusted = bool((count * self.test_share >= 1).mean() >= 0.5)
        candidate = trusted if from_trusted else label >= 0
        untested = []
        for one, name in enumerate(names):
            mine = np.flatnonzero(candidate & (label == one))
            place = np.array([_place(rows[row].path) for row in mine.tolist()])
            wanted = max(1, int((place < self.test_share).sum()))
            taken = min(wanted, len(mine) - 1)  # one at least is trained on
            test[mine[np.argsort(place)[: max(taken, 0)]]] = True
            if taken < 1:
                untested.append(name)
        known = int((test & trusted).sum())
        self.notes.append(
            f"no test split is given: {test.sum():,} pictures are held out of training to test on, "
            f"{known:,} of them with trusted labels"
            + ("" if known == test.sum() else "; the others may be labelled wrongly")
        )
        if untested:
            self.notes.append(
                f"NOTE: {len(untested)} of {len(names)} classes have too few pictures to test on: "
                f"{some(untested)}"
            )
        return test

    def checked(self) -> Checked:
        """Return what is trusted: of one's own pictures, all of it is the user's word."""
        return Checked(np.flatnonzero(self.listed.trusted), self.listed.true[self.listed.trusted])

    def tests(self, drawn: Manifest) -> Mapping[str, Labelled]:
        """Return the test set."""
        return {"test": self._test}

    def tested_pictures(self) -> Sequence[tuple[str, int, bool]]:
        """Return each test picture's path, label, and whether the label is known to be right."""
        paths, label = self._test.files.paths, self._test.label
        return list(zip(paths, label.tolist(), self._test_known.tolist(), strict=True))

    def without_probe(self) -> str:
        """Write a list of labels to check first; return advice on how to use it.

        A list that somebody has begun to fill in is left as it is.
        """
        if self.trusted:
            return (
                f"dataset.trusted={', '.join(self.trusted)} trusts no picture to train with: fill "
                "in true_label of some that are not in the test split."
            )
        listed = self.listed
        path = self._first_list()
        if is_filled_in(path, "true_label"):
            return (
                f"No label in {self.data_dir} is trusted, and this method needs some. {path} is "
                f"filled in: give {typed('dataset.trusted', path)}; or move it away for a new list."
            )
        images = self._images(listed.files, "training")
        path.parent.mkdir(exist_ok=True)
        with writing_table(path, ["path", "label", "true_label"]) as rows:
            for row in suggest(images, listed.given, FIRST_PER_CLASS, self.unread).tolist():
                name = listed.class_names[listed.given[row]]
                rows.writerow([listed.files.paths[row], name, ""])
        return (
            f"No label in {self.data_dir} is trusted, and this method needs some: "
            f"{FIRST_PER_CLASS} of each class are a good start. {path} lists which to check first; "
            f"write the right class into its column true_label, as many as you can, and give "
            f"{typed('dataset.trusted', path)}. method=supervised needs none."
        )

    def _first_list(self) -> Path:
        """Return where that list goes; a folder of the same name may have one there."""
        here = self.data_dir.resolve()
        path = Path("outputs") / f"{here.name}-label_these_first.csv"
        if not path.exists():
            return path
        try:
            another = set(read_table(path, "list", ("path",))["path"]) - set(self.paths or ())
        except ValueError:  # somebody works at it
            another = set()
        if not another:
            return path
        number = hashlib.sha256(str(here).encode("utf-8", "surrogateescape")).hexdigest()[:6]
        return path.with_name(f"{here.name}-{number}-label_these_first.csv")


def _place(path: str) -> float:
    """Return where in [0, 1) a picture stands, by its name alone."""
    digest = hashlib.sha256(last_parts(path).encode("utf-8", "surrogateescape")).digest()
    return float(int.from_bytes(digest[:6], "big") / 2**48)


def _read_kept(file: Path) -> list[Row]:
    return [Row(*row) for row in json.loads(file.read_text(encoding="utf-8"))]
