"""What the figure of a comparison shows, read off its parts before they are drawn."""

from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from runs import comparison_figure
from runs.comparison_figure import draw_comparison


def job(method="ieg", noise=0.4, seed=1, acc=0.9, dataset="digits_asym", **more):
    return {
        "dataset": dataset,
        "noise": noise,
        "method": method,
        "model": "small",
        "seed": seed,
        "settings": "",
        "test/acc_last": acc,
        **more,
    }


def drawn(rows, tmp_path):
    """Return the figure's visible panels by title, those of the first line; and the figure."""
    with patch.object(comparison_figure, "save") as save:
        draw_comparison(rows, tmp_path / "figure.png")
    figure = save.call_args.args[0]
    return {axis.get_title(): axis for axis in figure.axes if axis.get_title()}, figure


def test_lines_are_means_bands_reach_from_worst_to_best_and_seeds_are_points(tmp_path):
    accs = {0.2: [0.9, 0.96], 0.4: [0.7, 0.8]}
    rows = [job(noise=noise, seed=s, acc=a) for noise in accs for s, a in enumerate(accs[noise])]
    panels, _ = drawn(rows, tmp_path)
    axis = panels["digits_asym"]
    line = axis.lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[0.2, 0.93], [0.4, 0.75]])
    band, points = axis.collections
    corners = {(round(x, 6), round(y, 6)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(0.2, 0.9), (0.2, 0.96), (0.4, 0.7), (0.4, 0.8)}
    assert sorted(points.get_offsets()[:, 1]) == pytest.approx([0.7, 0.8, 0.9, 0.96])


def test_noise_that_nobody_drew_is_no_rate_of_zero(tmp_path):
    rows = [
        *[
            job(method, None, seed, 0.6, "clothing1m")
            for method in ("l2r", "ieg")
            for seed in (1, 2)
        ],
        *[job("ieg", noise, dataset="folder") for noise in (None, 0.2, 0.4)],
        job("ieg", 0.8),
    ]
    panels, _ = drawn(rows, tmp_path)
    assert list(panels) == [
        "clothing1m, labels as given",
        "digits_asym, noise 0.8",
        "folder",
        "folder, labels as given",
    ]
    ticks = [text.get_text() for text in panels["clothing1m, labels as given"].get_xticklabels()]
    assert ticks == ["ieg", "l2r"]
    np.testing.assert_allclose(panels["folder"].lines[0].get_xydata(), [[0.2, 0.9], [0.4, 0.9]])


def test_noise_detection_is_a_second_line_of_panels_where_it_is_known(tmp_path):
    rows = [job(noise=noise, **{"noise/auroc": 0.9}) for noise in (0.2, 0.4)]
    rows += [job(noise=noise, dataset="folder") for noise in (0.2, 0.4)]
    _, figure = drawn(rows, tmp_path)
    assert [axis.axison for axis in figure.axes] == [True, True, True, False]
    _, figure = drawn(rows[2:], tmp_path)
    assert len(figure.axes) == 1


def test_runs_without_a_wrong_label_have_no_noise_detection_and_the_others_do(tmp_path):
    rows = [job("supervised", noise=0.0, **{"noise/auroc": None})]
    rows += [job("l2r", noise, **{"noise/auroc": 0.9}) for noise in (0.2, 0.4)]
    _, figure = drawn(rows, tmp_path)
    above, below = figure.axes
    assert len(above.collections) == 4  # bands and points of both
    assert len(below.collections) == 2
    assert above.get_xlim() == below.get_xlim()


def test_the_model_is_named_only_where_it_tells_runs_apart(tmp_path):
    rows = [job(noise=noise) for noise in (0.2, 0.4)]
    rows += [job(noise=noise, dataset="folder", model="large") for noise in (0.2, 0.4)]
    _, figure = drawn(rows, tmp_path)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ieg"]
    rows += [job(noise=0.2, model="large")]
    _, figure = drawn(rows, tmp_path)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ieg", "ieg, large"]


def test_the_model_that_no_command_gave_is_not_named(tmp_path):
    """Unless all commands name one: then each line is named by its own, or none if it is one."""
    default = job(noise=0.2, command="python train.py noise=0.2")
    large = [
        job(model="large", noise=noise, command=f"python train.py model=large noise={noise}")
        for noise in (0.2, 0.4)
    ]
    for rows, names in (
        ([default, *large], ["ieg", "ieg, large"]),
        (
            [{**default, "command": "python train.py model=small"}, *large],
            ["ieg, large", "ieg, small"],
        ),
        (large, ["ieg"]),
    ):
        _, figure = drawn(rows, tmp_path)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == names


def test_nothing_overlaps(tmp_path):
    """The longest settings, as they are laid out: panels, names below them, and the legend."""
    long = "augment=randaugment_per_example method.consistency_factor=20"
    rows = [
        job(method, noise, dataset=dataset, settings=settings)
        for method in ("supervised", "l2r", "ieg")
        for settings in ("", long, "max_steps=20")
        for dataset, noise in (("one", 0.2), ("one", 0.4), ("two", 0.4), ("three", None))
    ]
    _, figure = drawn(rows, tmp_path)
    figure.canvas.draw()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    boxes.append(figure.legends[0].get_window_extent())
    for axis in figure.axes:
        if axis.get_title() != "one":
            boxes_below = [text.get_window_extent() for text in axis.get_xticklabels()]
            assert not overlapping(boxes_below)
    assert not overlapping(boxes)
    width, height = figure.canvas.get_width_height()
    assert all(
        box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes
    )


def overlapping(boxes):
    return [
        (one, other)
        for place, one in enumerate(boxes)
        for other in boxes[place + 1 :]
        if one.overlaps(other)
    ]


def test_it_is_a_picture(tmp_path):
    draw_comparison([job()], tmp_path / "new" / "figure.png")
    with Image.open(tmp_path / "new" / "figure.png") as image:
        blue = (np.asarray(image.convert("RGB")) == (0x00, 0x72, 0xB2)).all(axis=2).sum()
    assert blue > 50
