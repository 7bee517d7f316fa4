"""A folder of one's own pictures: labelled by a table, or by the folders they lie in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bounds import is_number
from datamodules.folder_rows import Row, from_folders, from_table, natural, only_true, trust
from datamodules.label_first import suggest
from datamodules.listing import Files, Labelled, Listing
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.picture_data import PictureDataModule
from datamodules.randomness import numpy_generator
from datamodules.split import Mask
from datamodules.tables import is_filled_in, is_utf8, several, writing_table

# Labels to check for a first probe, of each class.
FIRST_PER_CLASS = 10


class Folder(PictureDataModule):
    """Pictures of one's own.

    What is tested on: the rows of the test split. Without one, `test_share` of the trusted rows if
    every class keeps some, else of all rows, and said. It is the same for every seed.

    Args:
        folder: the pictures'. Unlike other data sets' `data_dir`, it says which data they are.
        labels: the table (see `folder_rows.from_table`), or the `labels.npz` of a run, or None:
            then folders are classes.
        trusted: a list of checked pictures (see `folder_rows.trust`), several, or None.
        test_share: of what is trusted, where there is no test split.
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
        super().__init__(data_dir=folder, labels=labels if drawn else None, **rest)

    def listing(self) -> Listing:
        """Read the table, or look through the folders."""
        if not self.data_dir.is_dir():
            raise ValueError(
                f"data_dir={self.data_dir} is no folder: give the one of the pictures."
            )
        if self.table is None:
            rows, left_out = from_folders(self.data_dir)
            self.notes += left_out
        else:
            rows = from_table(Path(self.table).expanduser().absolute(), "labels")
            self._refuse_latin_1(rows)
            self.notes += only_true(rows)
        rows = trust(rows, [Path(checked).expanduser().absolute() for checked in self.trusted])
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
        test = self._test_rows(rows, np.where(true >= 0, true, given), trusted, len(names))
        train = ~test & ((given >= 0) | trusted)
        judged = test & ((true >= 0) | (given >= 0))
        self._test_known = (true >= 0)[judged]
        self._test = Labelled(*self._files(rows, judged), np.where(true >= 0, true, given)[judged])
        return Listing(self._files(rows, train), given[train], true[train], trusted[train], names)

    def _refuse_latin_1(self, rows: Sequence[Row]) -> None:
        """Refuse a table whose names of files are in the wrong encoding, not just in none."""
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

    def _test_rows(self, rows: Sequence[Row], label: Labels, trusted: Mask, classes: int) -> Mask:
        test = np.array([row.test for row in rows])
        if test.any():
            known = sum(row.test and (row.trusted or row.true_label != "") for row in rows)
            if 0 < known < test.sum():
                self.notes.append(
                    f"of {test.sum():,} pictures to test on, {known:,} have labels that were "
                    "checked; the others may be labelled wrongly"
                )
            return test
        count = np.bincount(label[trusted], minlength=classes)
        from_trusted = bool((count * self.test_share >= 1).all())
        candidate = trusted if from_trusted else label >= 0
        rng = numpy_generator(0, "test split")
        for one in range(classes):
            mine = rng.permutation(np.flatnonzero(candidate & (label == one)))
            wanted = max(1, round(self.test_share * len(mine)))
            test[mine[: min(wanted, len(mine) - 1)]] = True  # one at least is trained on
        known = int((test & trusted).sum())
        self.notes.append(
            f"no test split is given: {test.sum():,} pictures are held out of training to test on, "
            f"{known:,} of them with trusted labels"
            + ("" if known == test.sum() else "; the others may be labelled wrongly")
        )
        return test

    def tests(self, drawn: Manifest) -> Mapping[str, Labelled]:
        """Return what is judged on."""
        return {"test": self._test}

    def tested_pictures(self) -> Sequence[tuple[str, int, bool]]:
        """Return what is tested on: path, label, and whether that is known to be right."""
        paths, label = self._test.files.paths, self._test.label
        return list(zip(paths, label.tolist(), self._test_known.tolist(), strict=True))

    def without_probe(self) -> str:
        """Write down which labels to check first; return what to do with the list.

        One that somebody has begun to fill in stays as it is.
        """
        if self.trusted:
            return (
                f"dataset.trusted={', '.join(self.trusted)} trusts no picture to train with: fill "
                "in true_label of some that are not in the test split."
            )
        listed = self.listed
        path = Path("outputs") / f"{self.data_dir.name}-label_these_first.csv"
        if is_filled_in(path, "true_label"):
            return (
                f"No label in {self.data_dir} is trusted, and this method needs some. {path} is "
                f"filled in: give dataset.trusted={path}; or move it away for a new list."
            )
        images = self._images(listed.files, "training")
        path.parent.mkdir(exist_ok=True)
        with writing_table(path, ["path", "label", "true_label"]) as rows:
            for row in suggest(images, listed.given, FIRST_PER_CLASS).tolist():
                name = listed.class_names[listed.given[row]]
                rows.writerow([listed.files.paths[row], name, ""])
        return (
            f"No label in {self.data_dir} is trusted, and this method needs some: "
            f"{FIRST_PER_CLASS} of each class are a good start. {path} lists which to check first; "
            f"write the right class into its column true_label, as many as you can, and give "
            f"dataset.trusted={path}. method=supervised needs none."
        )
