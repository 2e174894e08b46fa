from dataclasses import dataclass
from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
import xarray as xr

import convergent as cv
from convergent.base import checksums
from convergent.base.study import as_study
from convergent.scoring import engine, tasks, workers

NAMES = [f"s{i:03d}" for i in range(60)]


def population(seed, units, **coords):
    values = np.random.default_rng(seed).standard_normal((60, units)).astype(np.float32)
    return cv.Assembly.from_array(values, stimuli=NAMES, name=f"p{seed}", **coords)


SOURCES = {"a": population(1, 80), "b": population(2, 30)}
TARGETS = {"x": population(3, 20), "y": population(4, 70)}


@pytest.fixture
def fits(monkeypatch):
    """Counts the tasks that are really done, and those that are not finished."""
    done = SimpleNamespace(tasks=[], stop_after=None)
    do_task = engine.do_task

    def counted(task, *rest):
        if task.source is not None:  # ceilings are counted nowhere
            if done.stop_after is not None and len(done.tasks) >= done.stop_after:
                raise KeyboardInterrupt
            done.tasks.append((task.source, {k: list(v) for (k, _), v in task.missing.items()}))
        yield from do_task(task, *rest)

    monkeypatch.setattr(engine, "do_task", counted)
    return done


def score(study, sources=SOURCES, targets=TARGETS, **options):
    return cv.score(sources, targets, study=study, **({"ceiling": None} | options))


def test_what_is_finished_is_not_done_again(tmp_path, fits):
    alone = score(None)
    fits.tasks.clear()
    first, second = score(tmp_path), score(cv.Study(tmp_path))
    assert len(fits.tasks) == 2
    assert first.identical(second)
    assert first.identical(alone)


def test_resamples_shuffles_and_ceilings_are_kept_too(tmp_path, fits):
    options = {
        "ceiling": "self",
        "bootstrap": cv.Bootstrap(20, refits=4),
        "shuffle": cv.Shuffle(3),
        "metrics": ["linear", "soft-matching"],
    }
    first, second = score(tmp_path, **options), score(tmp_path, **options)
    assert len(fits.tasks) == 2
    assert first.identical(second)
    assert {"r_draws", "r_refits", "r_shuffled", "ceiling_draws"} <= set(second.data_vars)


def test_an_interrupted_run_does_only_what_is_missing(tmp_path, fits):
    uninterrupted = score(None)
    fits.tasks.clear()
    fits.stop_after = 1
    with pytest.raises(KeyboardInterrupt):
        score(tmp_path)
    fits.stop_after = None
    resumed = score(tmp_path)
    assert [source for source, _ in fits.tasks] == ["a", "b"]
    assert resumed.identical(uninterrupted)


def test_one_more_metric_source_or_target_costs_itself_alone(tmp_path, fits):
    score(tmp_path, metrics=["linear"])
    fits.tasks.clear()
    more = score(
        tmp_path, SOURCES | {"c": population(5, 10)}, TARGETS, metrics=["linear", "procrustes"]
    )
    everything = {"x": ["procrustes"], "y": ["procrustes"]}
    new = {"x": ["linear", "procrustes"], "y": ["linear", "procrustes"]}
    assert fits.tasks == [("a", everything), ("b", everything), ("c", new)]
    fresh = score(
        None, SOURCES | {"c": population(5, 10)}, TARGETS, metrics=["linear", "procrustes"]
    )
    assert more.identical(fresh)


def changed(assembly):
    values = assembly.data.values.copy()
    values[0, 0] += 1e-6
    return cv.Assembly(assembly.data.copy(data=values))


@pytest.mark.parametrize(
    "other",
    [
        {"sources": SOURCES | {"a": changed(SOURCES["a"])}},
        {"targets": TARGETS | {"x": changed(TARGETS["x"])}},
        {"metrics": [cv.Linear((1.0, 2.0))]},
        {"metrics": ["linear"], "folds": cv.Folds(4)},
        {"metrics": ["linear"], "folds": cv.Folds(5, seed=1)},
        {"metrics": ["linear"], "shuffle": cv.Shuffle(2)},
        {"metrics": ["linear"], "bootstrap": cv.Bootstrap(5)},
        {"metrics": ["linear"], "bootstrap": cv.Bootstrap(6)},
    ],
)
def test_anything_else_is_never_answered_from_old_pieces(tmp_path, fits, other):
    score(tmp_path, metrics=["linear"])
    score(tmp_path, metrics=["linear"], bootstrap=cv.Bootstrap(5, seed=1))
    fits.tasks.clear()
    found = score(tmp_path, **({"metrics": ["linear"]} | other))
    assert fits.tasks
    assert found.identical(score(None, **({"metrics": ["linear"]} | other)))


def test_other_code_of_a_metric_computes_again(tmp_path, fits, monkeypatch):
    score(tmp_path, metrics=["linear"])
    fits.tasks.clear()
    monkeypatch.setattr(cv.Linear, "fit", lambda _self, *views: cv.Procrustes().fit(*views))
    score(tmp_path, metrics=["linear"])
    assert len(fits.tasks) == 2


@dataclass(frozen=True)
class Odd(cv.Linear):
    more: object = None


def test_arrays_of_a_metric_are_among_what_decides(tmp_path, fits):
    for count, value in ((2, 0.0), (2, 0.0), (4, 1.0)):
        score(tmp_path, metrics={"odd": Odd(more=np.full(3, value))})
        assert len(fits.tasks) == count


def test_a_metric_that_cannot_be_known_is_not_kept(tmp_path, fits):
    with (tmp_path / "notes.txt").open("w") as file:
        odd = {"odd": Odd(more={"log": file})}
        for count in (2, 4):
            with pytest.warns(
                UserWarning, match="neither kept .*metric 'odd'.more.'log'. is a _io"
            ):
                score(tmp_path, metrics=odd)
            assert len(fits.tasks) == count
    assert list((tmp_path / "pieces").iterdir()) == []


def test_a_metric_that_is_typed_again_is_another(tmp_path, fits):
    source = """
@dataclass(frozen=True)
class Typed:
    def fit(self, source, target):
        return cv.Linear((PENALTY,)).fit(source, target)
"""

    def typed(penalty):
        names = {"__name__": "__main__", "dataclass": dataclass, "cv": cv}
        exec(source.replace("PENALTY", penalty), names)  # no file holds its source
        return {"typed": names["Typed"]()}

    first = score(tmp_path, metrics=typed("1e-4"))
    assert score(tmp_path, metrics=typed("1e-4")).identical(first)
    assert len(fits.tasks) == 2
    second = score(tmp_path, metrics=typed("1e4"))
    assert len(fits.tasks) == 4
    np.testing.assert_array_equal(second["r"], score(None, metrics=typed("1e4"))["r"])
    assert np.abs(second["r"] - first["r"]).max() > 0.01


def test_another_version_computes_again(tmp_path, fits, monkeypatch):
    score(tmp_path)
    fits.tasks.clear()
    monkeypatch.setattr("convergent.base.hashing.version", lambda _package: "99.0")
    score(tmp_path)
    assert len(fits.tasks) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "other"])
def test_a_damaged_piece_is_noticed_and_computed_again(tmp_path, fits, damage):
    first = score(tmp_path)
    pieces = sorted((tmp_path / "pieces").iterdir())
    content = pieces[0].read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    pieces[0].write_bytes(
        {
            "cut": content[:middle],
            "empty": b"",
            "flipped": flipped,
            "other": pieces[1].read_bytes(),
        }[damage]
    )
    fits.tasks.clear()
    with pytest.warns(UserWarning, match="damaged or cut short"):
        again = score(tmp_path)
    assert len(fits.tasks) == 1
    assert again.identical(first)
    assert pieces[0].read_bytes()  # mended
    score(tmp_path)
    assert len(fits.tasks) == 1


def test_scores_of_responses_that_change_meanwhile_are_not_kept(tmp_path):
    values = SOURCES["a"].data.values
    reads = []

    def read(block):
        reads.append(1)  # the first time for the hash
        return (
            block if len(reads) == 1 else block * 0 + np.random.default_rng(0).random(block.shape)
        )

    stored = dask.array.zeros(values.shape, chunks=-1).map_blocks(
        lambda _block: read(values), dtype=values.dtype, meta=np.empty((0, 0))
    )
    changing = cv.Assembly(SOURCES["a"].data.copy(data=stored))
    with pytest.raises(cv.InputError, match="'a' changed while they were used, and no results"):
        score(tmp_path, {"a": changing})
    assert not list((tmp_path / "pieces").iterdir())


def test_a_piece_without_permission_is_not_called_damaged(tmp_path, monkeypatch):
    study = cv.Study(tmp_path)
    study.keep({"a": 1}, {"r": np.zeros(3)})
    study.dataset({"a": 1}, xr.Dataset)

    def refuse(path, *_given, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checksums.Path, "open", refuse)
    for use in (lambda: study.recall({"a": 1}), lambda: study.dataset({"a": 1}, xr.Dataset)):
        with pytest.raises(cv.InputError, match=r"you have no permission to read .*pieces"):
            use()


def test_pieces_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    study = cv.Study(tmp_path)

    def fail(file, **_arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        study.keep({"a": 1}, {"r": np.zeros(3)})
    assert not list((tmp_path / "pieces").iterdir())
    assert study.recall({"a": 1}) is None


def test_a_piece_holds_no_pickle(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        cv.Study(tmp_path).keep({"a": 1}, {"r": np.array([object()])})


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(cv.InputError, match=r"file is a file and no folder\. Remove it"):
        cv.Study(tmp_path / "file" / "study")


def test_a_study_is_itself_its_path_or_none(tmp_path):
    study = cv.Study(tmp_path)
    assert as_study(study) is study
    assert as_study(str(tmp_path)) == study
    assert as_study(None) is None


def test_tiles_of_targets_change_nothing(monkeypatch, fits):
    whole = score(None)
    fits.tasks.clear()
    monkeypatch.setattr(engine, "TILE_TARGETS", 1)
    assert score(None).identical(whole)
    assert len(fits.tasks) == 4
    monkeypatch.setattr(engine, "TILE_TARGETS", 16)
    monkeypatch.setattr(tasks, "TILE_BYTES", 1)
    assert score(None).identical(whole)


def test_a_source_that_cannot_be_scored_is_refused_before_any_work(fits):
    values = SOURCES["b"].data.values.copy()
    values[3, 4] = np.nan
    broken = cv.Assembly(SOURCES["b"].data.copy(data=values))
    with pytest.raises(cv.InputError, match="source 'b' has NaN in 1 of 30 units"):
        score(None, {"a": SOURCES["a"], "b": broken})
    assert not fits.tasks


def test_what_is_too_large_to_be_sent_to_workers_is_refused(monkeypatch):
    monkeypatch.setattr(
        engine, "active_client", lambda: SimpleNamespace(nthreads=lambda: {"worker": 1})
    )
    monkeypatch.setattr(workers, "SENT_BYTES", 1000)
    with pytest.raises(cv.InputError, match="'a', 'b', 'target x' and 1 more"):
        score(None)


def test_a_labelled_result_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return xr.Dataset({"r": ("layer", [0.1, np.nan])}, {"layer": ["a", "b"]}, {"n": 3})

    study = cv.Study(tmp_path)
    first = study.dataset({"step": 1}, make)
    assert first.identical(study.dataset({"step": 1}, make))
    assert len(made) == 1
    study.dataset({"step": 2}, make)
    assert len(made) == 2
    one, other = sorted((tmp_path / "pieces").glob("*.nc"))
    for content in (other.read_bytes(), one.read_bytes()[:100]):
        one.write_bytes(content)
        with pytest.warns(UserWarning, match="damaged or cut short"):
            again = [study.dataset({"step": step}, make) for step in (1, 2)]
        assert all(first.identical(result) for result in again)
