"""`mode=predict`: classify new pictures with a trained network."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from callbacks.checkpoint_file import load
from datamodules.folder_rows import PICTURE_SUFFIXES, files_below
from datamodules.phrases import counted, printable
from datamodules.pictures import PictureFiles
from datamodules.tables import table_writer
from datamodules.unreadable import Unreadable
from datamodules.workers import available_cores
from runs.build import build_trainer
from runs.network import network_from_checkpoint, run_folder_of
from runs.ranks import is_first_rank
from runs.reopen import find_checkpoint, merge_settings
from runs.settings import Settings, overrides

Results = dict[str, Any]

_COLUMNS = ("path", "label", "confidence")
_CLASSES_SHOWN = 20


def predict(settings: Settings) -> Results:
    """Write a table of pictures with their likeliest classes; print how many each class has.

    Returns:
        The paths of the checkpoint and the table, and the numbers of pictures and unreadable ones.

    Raises:
        ValueError: if there is no such checkpoint, it does not fit the settings, or there are no
            pictures.
    """
    if not is_first_rank():  # one process looks at all pictures
        return {}
    console = Console()
    root, paths = _find_pictures(Path(settings["pictures"]))
    path = find_checkpoint(settings)
    saved = load(path)
    run_settings = merge_settings(saved["experiment"]["settings"], settings, overrides(), path)
    network = network_from_checkpoint(saved, path)
    trainer = build_trainer(run_settings, max_steps=1, callbacks=[])
    device = trainer.strategy.root_device
    network.net.to(device)
    unreadable, count = Unreadable(), Counter[str]()
    files = network.pictures(root, paths, unreadable)
    batch_size, quiet = run_settings["dataset"]["eval_batch_size"], not console.is_terminal
    console.print(f"looking at {counted(len(paths), 'picture')}", highlight=False)
    batches = track(
        _read_batches(files, batch_size), "", -(-len(paths) // batch_size), console=console,
        transient=True, disable=quiet,
    )  # fmt: skip
    table = _table_path(path, settings)
    with table_writer(table, _COLUMNS) as table_rows:
        for first_row, image in batches:
            with trainer.precision_plugin.forward_context():
                probability = network.probability(image.to(device))
            rows_of_batch = (column.tolist() for column in probability.max(dim=1))
            for row, (confidence, label) in enumerate(
                zip(*rows_of_batch, strict=True), start=first_row
            ):
                if str(files.path(row)) in unreadable.seen:
                    table_rows.writerow([paths[row], "", ""])
                    continue
                name = network.class_names[label]
                count[name] += 1
                table_rows.writerow([paths[row], name, f"{confidence:.4f}"])
    _print_counts(count, unreadable, table, console)
    return {
        "checkpoint": str(path),
        "pictures": len(paths),
        "unreadable": len(unreadable.seen),
        "predictions": str(table),
    }


def _find_pictures(given: Path) -> tuple[Path, list[str]]:
    """Return a folder, and the pictures at any depth below it; or one picture and its folder."""
    if given.is_file():
        return given.parent, [given.name]
    if not given.is_dir():
        raise ValueError(f"pictures={given} is not there: give a folder of pictures, or a picture.")
    paths = [str(path) for path in files_below(given) if path.suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        raise ValueError(f"pictures={given} holds no pictures: give a folder that does.")
    return given, paths


def _table_path(checkpoint: Path, settings: Settings) -> Path:
    """Return the path of the table: in run_dir or, if that is null, in the run's folder."""
    default_folder = run_folder_of(checkpoint) or checkpoint.parent
    folder = Path(settings["run_dir"]) if settings["run_dir"] else default_folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"predictions-{Path(settings['pictures']).absolute().stem}.csv"


def _read_batches(files: PictureFiles, size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the first row of each batch, and its pictures; the next batch is read meanwhile."""
    waiting = deque[tuple[int, list[Future[Tensor]]]]()

    def next_batch() -> tuple[int, Tensor]:
        first_row, pictures = waiting.popleft()
        return first_row, torch.cat([future.result() for future in pictures])

    # threads: image decoders release the GIL
    with ThreadPoolExecutor(available_cores()) as pool:
        for first_row in range(0, len(files), size):
            rows = range(first_row, min(first_row + size, len(files)))
            waiting.append(
                (
                    first_row,
                    [pool.submit(files.for_evaluation, torch.tensor([row])) for row in rows],
                )
            )
            if len(waiting) > 1:
                yield next_batch()
        yield next_batch()


def _print_counts(
    count: Counter[str], unreadable: Unreadable, table: Path, console: Console
) -> None:
    classes = [f"{name}: {number:,}" for name, number in count.most_common(_CLASSES_SHOWN)]
    if len(count) > _CLASSES_SHOWN:
        classes.append(f"and {len(count) - _CLASSES_SHOWN} classes more")
    lines = [f"{counted(count.total(), 'picture')}: {', '.join(classes)}"] if count else []
    for path, reason in unreadable.seen.items():
        lines.append(f"cannot be read: {path} ({reason})")
    for line in (*lines, f"Written to {table}"):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
