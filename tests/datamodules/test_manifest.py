import json
from dataclasses import replace

import numpy as np
import pytest

from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.noise import asymmetric, corrupt
from datamodules.randomness import numpy_generator
from datamodules.split import Candidates

UNEVEN = np.array([0] * 7 + [1] * 5 + [2] * 9)
NAMES = ("ape", "bee", "cow")


def draw(class_names=NAMES, candidates=None, subset=None, **changes) -> Manifest:
    settings = {
        "dataset": "toy",
        "seed": 1,
        "noise_model": "asymmetric",
        "nominal_noise": 0.4,
        "probe_per_class": 2,
        **changes,
    }

    def given_labels(rows):
        transition = asymmetric(3, settings["nominal_noise"], {0: 2})
        return corrupt(UNEVEN[rows], transition, numpy_generator(settings["seed"], "noise"))

    return Manifest.draw(
        candidates or Candidates(UNEVEN),
        given_labels,
        settings=settings,
        class_names=class_names,
        subset=subset,
    )


def resettled(drawn: Manifest, **changes) -> Manifest:
    return replace(drawn, settings={**drawn.settings, **changes})


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
    {"nominal_noise": 0.1},
    {"dataset": "other"},
    {"noise_model": "uniform"},
    {"probe_per_class": 1},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_hash_knows_every_setting(change):
    assert draw().hash == draw().hash
    assert draw(**change).hash != draw().hash
    assert resettled(draw(), **change).hash != draw().hash


def test_hash_knows_the_classes():
    assert draw(class_names=("ape", "bee", "dog")).hash != draw().hash


@pytest.mark.parametrize("name", ["train_rows", "given", "clean", "probe_rows", "probe_label"])
def test_hash_knows_every_array(name):
    drawn = draw()
    changed = getattr(drawn, name).copy()
    changed[-1] += 1
    assert replace(drawn, **{name: changed}).hash != drawn.hash


def test_other_seeds_draw_other_probes_and_noise():
    one, two = (draw(seed=seed, nominal_noise=0.9) for seed in (1, 2))
    assert set(one.probe_rows) != set(two.probe_rows)


def test_saved_files_hold_what_was_drawn(tmp_path):
    drawn = draw()
    folder = tmp_path / "deep" / "run"
    assert Manifest.saved_hash(folder) is None
    drawn.save(folder)
    assert Manifest.saved_hash(folder) == drawn.hash
    assert json.loads((folder / "manifest.json").read_text()) == drawn.summary()
    with np.load(folder / "labels.npz", allow_pickle=False) as saved:
        arrays = {"train_rows", "given", "clean", "probe_rows", "probe_label"}
        assert set(saved) == {*arrays, "drawn_as"}
        for name in arrays:
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


def test_a_saved_manifest_is_read_back(tmp_path):
    drawn = draw()
    drawn.save(tmp_path)
    loaded = Manifest.load(tmp_path / "labels.npz")
    assert loaded.hash == drawn.hash
    assert loaded.summary() == drawn.summary()


def edit(path, **arrays):
    with np.load(path) as saved:
        kept = dict(saved)
    np.savez_compressed(path, **{**kept, **arrays})


def test_changed_labels_are_found_and_not_overwritten(tmp_path):
    draw().save(tmp_path)
    path = tmp_path / "labels.npz"
    edit(path, given=np.zeros(15, dtype=np.int64))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"labels\.npz is not what this run began with .*labels="):
        draw().save(tmp_path)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="was changed after it was written"):
        Manifest.load(path)
    draw(seed=2).save(tmp_path / "other")
    path.write_bytes((tmp_path / "other" / "labels.npz").read_bytes())
    with pytest.raises(ValueError, match="it holds other labels"):
        draw().save(tmp_path)
    path.unlink()
    draw().save(tmp_path)  # what is missing is written again
    assert Manifest.load(path).hash == draw().hash


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"hello"])
def test_damaged_labels_are_named(tmp_path, damage):
    draw().save(tmp_path)
    (tmp_path / "labels.npz").write_bytes(damage)
    with pytest.raises(ValueError, match=r"labels\.npz"):
        draw().save(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    draw().save(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged .*fresh=true"):
        draw().save(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def test_a_pickle_among_labels_is_not_executed(tmp_path):
    draw().save(tmp_path)
    edit(tmp_path / "labels.npz", given=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="holds no drawn labels"):
        Manifest.load(tmp_path / "labels.npz")


def test_rows_may_be_only_for_the_probe_or_never(tmp_path):
    noisy, trusted = np.arange(21) < 12, np.arange(21) % 3 == 0
    drawn = draw(candidates=Candidates(UNEVEN, noisy=noisy, trusted=trusted), probe_per_class=1)
    assert trusted[drawn.probe_rows].all()
    assert set(drawn.train_rows) == set(range(12)) - set(drawn.probe_rows)
    everyone = draw(
        candidates=Candidates(UNEVEN, noisy=noisy, trusted=trusted), probe_per_class=None
    )
    assert set(everyone.probe_rows) == set(np.flatnonzero(trusted))
    assert "(all that are trusted)" in everyone.describe()


def test_unknown_truth_is_not_counted():
    true = np.where(np.arange(21) < 10, UNEVEN, -1)
    drawn = draw(candidates=Candidates(true, trusted=true >= 0), probe_per_class=None)
    assert drawn.effective_noise is None
    assert "rate unknown" in drawn.describe()
    assert sum(map(sum, drawn.summary()["transition_counts"])) == 0


def test_known_errors_of_unknown_class_are_counted_as_errors():
    drawn = replace(
        draw(),
        clean=np.array([0, KNOWN_WRONG, UNKNOWN, 1]),
        given=np.array([0, 2, 2, 2]),
        train_rows=np.arange(4),
    )
    assert drawn.effective_noise == pytest.approx(2 / 3)
    summary = drawn.summary()
    assert summary["transition_counts"] == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert summary["wrong_of_unknown_class"] == 1
    assert "effective 0.67 of the 3 that are known to be right or wrong" in drawn.describe()


def test_thinning_keeps_what_it_says():
    kept = draw(subset=lambda rows: rows[::2])
    assert set(kept.train_rows) == set(draw().train_rows[::2])
