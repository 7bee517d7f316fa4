import json
from dataclasses import replace

import numpy as np
import pytest

from datamodules.noise import flip
from datamodules.split import Manifest, draw_probe
from tests.golden import load

UNEVEN = np.array([0] * 7 + [1] * 5 + [2] * 9)


def draw(**changes) -> Manifest:
    settings = {
        "dataset": "toy",
        "seed": 1,
        "noise_model": "asymmetric",
        "noise": 0.4,
        "probe_per_class": 2,
        "class_names": ("ape", "bee", "cow"),
    }
    settings.update(changes)
    return Manifest.draw(UNEVEN, flip(3, settings["noise"], {0: 2}), **settings)


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("hold", ["0.02", "0.002"])
def test_probe_has_the_references_sizes_and_order(num_classes, hold):
    golden = load("case_H_label_noise")
    key = f"uniform{num_classes}/ratio0.4/hold{hold}/npseed0"
    label = np.arange(50_000) % num_classes
    per_class = int(golden[f"{key}/probe_class_counts"][0])
    rows = draw_probe(label, per_class, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(label[rows]), golden[f"{key}/probe_class_counts"])
    order = golden[f"{key}/probe_label_order"]
    np.testing.assert_array_equal(label[rows][: len(order)], order)
    assert len(rows) == golden[f"{key}/probe_size"]
    assert len(label) - len(set(rows)) == golden[f"{key}/train_size"]


def test_probe_is_drawn_at_random_within_classes():
    label = np.arange(4000) % 4
    once, again, other = (draw_probe(label, 100, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert len(set(once) & set(other)) < 70  # 40 are expected, give or take 6
    assert len(set(once)) == 400
    assert np.any(np.diff(once[::4]) < 0), "sorted rows would make the first ones special"
    # The mean of 400 rows out of 4,000 has a standard deviation of 55.
    assert abs(once.mean() - 2000) < 5 * 55


def test_empty_probe():
    assert draw_probe(UNEVEN, 0, np.random.default_rng(0)).shape == (0,)


def test_largest_probe_leaves_one_of_the_smallest_class():
    assert len(draw_probe(UNEVEN, 4, np.random.default_rng(0))) == 12
    with pytest.raises(ValueError, match=r"probe_per_class=5 .* give 0 to 4\."):
        draw_probe(UNEVEN, 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="probe_per_class=-1"):
        draw_probe(UNEVEN, -1, np.random.default_rng(0))


def test_probe_and_noisy_rows_part_the_data_set():
    drawn = draw()
    rows = np.concatenate([drawn.train_rows, drawn.probe_rows])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(UNEVEN)))
    np.testing.assert_array_equal(drawn.clean, UNEVEN[drawn.train_rows])
    np.testing.assert_array_equal(drawn.probe_label, [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(drawn.probe_label, UNEVEN[drawn.probe_rows])
    np.testing.assert_array_equal(drawn.given[drawn.clean != 0], drawn.clean[drawn.clean != 0])


def test_summary_by_hand():
    drawn = replace(
        draw(),
        clean=np.array([0, 0, 0, 1, 2]),
        given=np.array([0, 2, 2, 1, 2]),
        train_rows=np.arange(5),
        probe_rows=np.array([5, 6, 7]),
        probe_label=np.array([0, 1, 1]),
    )
    summary = json.loads(json.dumps(drawn.summary()))
    assert summary["transition_counts"] == [[1, 0, 2], [0, 1, 0], [0, 0, 1]]
    assert summary["probe_counts"] == [1, 2, 0]
    assert (summary["num_train"], summary["num_probe"], summary["num_classes"]) == (5, 3, 3)
    assert (summary["nominal_noise"], summary["effective_noise"]) == (0.4, 0.4)
    assert summary["hash"] == drawn.hash


def test_description_in_words():
    drawn = replace(
        draw(probe_per_class=4),
        clean=np.zeros(1200, dtype=np.int64),
        given=np.repeat([0, 1], [900, 300]),
    )
    assert drawn.describe().splitlines()[0] == (
        "1,200 noisy + 12 probe (4 per class) examples, 3 classes; "
        "noise asymmetric, nominal 0.40, effective 0.25"
    )


CHANGES = [
    {"seed": 2},
    {"noise": 0.1},
    {"dataset": "other"},
    {"noise_model": "uniform"},
    {"probe_per_class": 1},
    {"class_names": ("ape", "bee", "dog")},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_hash_knows_every_setting(change):
    assert draw().hash == draw().hash
    assert draw(**change).hash != draw().hash
    assert replace(draw(), **change).hash != draw().hash


@pytest.mark.parametrize("name", ["train_rows", "given", "clean", "probe_rows", "probe_label"])
def test_hash_knows_every_array(name):
    drawn = draw()
    changed = getattr(drawn, name).copy()
    changed[-1] += 1
    assert replace(drawn, **{name: changed}).hash != drawn.hash


def test_other_seeds_draw_other_probes_and_noise():
    one, two = (draw(seed=seed, noise=0.9) for seed in (1, 2))
    assert set(one.probe_rows) != set(two.probe_rows)


def test_saved_files_hold_what_was_drawn(tmp_path):
    drawn = draw()
    folder = tmp_path / "deep" / "run"
    assert Manifest.saved_hash(folder) is None
    drawn.save(folder)
    assert Manifest.saved_hash(folder) == drawn.hash
    assert json.loads((folder / "manifest.json").read_text()) == drawn.summary()
    with np.load(folder / "labels.npz", allow_pickle=False) as saved:
        assert set(saved) == {"train_rows", "given", "clean", "probe_rows", "probe_label"}
        for name in saved:
            np.testing.assert_array_equal(saved[name], getattr(drawn, name))
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "labels.npz"}
    drawn.save(folder)  # a continued run draws the same


def test_other_draws_are_refused_and_nothing_is_overwritten(tmp_path):
    draw().save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"data drawn now differ.*run_dir.*fresh=true"):
        draw(seed=2).save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_interrupted_save_leaves_no_manifest(tmp_path, monkeypatch):
    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw().save(tmp_path)
    assert Manifest.saved_hash(tmp_path) is None
    assert not (tmp_path / "labels.npz").exists()
