"""Coordinates of a population against a direct SVD, in all kinds of arrays."""

import dask.array
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from convergent import METRICS, InputError, Population
from convergent.base.arrays import correlate, correlate_resampled

TRAIN, TEST = np.arange(0, 40), np.arange(40, 60)
KINDS = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "dask": lambda x: dask.array.from_array(x, chunks=(17, 23)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [7, 50, 61, 300])
def test_coordinates_keep_every_inner_product(kind, dtype, p):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((60, p)) + 5).astype(dtype)
    axes = Population(KINDS[kind](x)).fold(TRAIN, TEST).coordinates
    centred = x.astype(float) - x[TRAIN].astype(float).mean(0)
    train, test = np.asarray(axes.train), np.asarray(axes.test)
    scale = (centred**2).sum(1).max()
    np.testing.assert_allclose(
        train @ train.T, centred[TRAIN] @ centred[TRAIN].T, atol=1e-9 * scale
    )
    np.testing.assert_allclose(test @ train.T, centred[TEST] @ centred[TRAIN].T, atol=1e-9 * scale)
    assert train.shape[1] == min(p, 39)
    singular = np.linalg.svd(centred[TRAIN], compute_uv=False)[: train.shape[1]]
    np.testing.assert_allclose(np.asarray(axes.singular), singular, rtol=1e-7)
    assert axes.test_norm == pytest.approx(np.linalg.norm(centred[TEST]), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [7, 300])
def test_expanding_the_training_coordinates_gives_the_responses_back(kind, p):
    x = np.random.default_rng(1).standard_normal((60, p))
    view = Population(KINDS[kind](x)).fold(TRAIN, TEST)
    expanded = np.asarray(view.expand(view.coordinates.train))
    np.testing.assert_allclose(expanded, x[TRAIN] - x[TRAIN].mean(0), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [7, 300])
def test_reordered_stimuli_are_the_same_stimuli_in_other_places(kind, p):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((60, p)) + 5
    train, test = rng.permutation(40), rng.permutation(20)
    view = Population(KINDS[kind](x)).fold(TRAIN, TEST)
    found, before = view.reordered(train, test), view.coordinates
    np.testing.assert_array_equal(found.train, TRAIN[train])
    np.testing.assert_array_equal(found.test, TEST[test])
    fresh = found.population.fold(TRAIN[train], TEST[test])  # nothing derived yet
    for one, other in zip(found.responses, fresh.responses, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    axes, other = found.coordinates, fresh.coordinates
    train_rows, test_rows = (np.asarray(z) for z in (axes.train, axes.test))
    np.testing.assert_allclose(train_rows, np.asarray(before.train)[train], rtol=1e-12)
    expected = np.asarray(other.test) @ np.asarray(other.train).T
    np.testing.assert_allclose(test_rows @ train_rows.T, expected, atol=1e-6)
    assert axes.test_norm == pytest.approx(other.test_norm, rel=1e-9)
    expanded = np.asarray(found.expand(axes.train))
    np.testing.assert_allclose(expanded, x[TRAIN][train] - x[TRAIN].mean(0), atol=1e-9)


def test_blocks_of_units_change_nothing(monkeypatch):
    x = np.random.default_rng(2).standard_normal((60, 300))
    whole = Population(x).gram
    monkeypatch.setattr("convergent.metrics.population.BLOCK_BYTES", 8 * 60 * 7)
    np.testing.assert_allclose(Population(x).gram, whole, rtol=1e-12, atol=1e-10)


def counted(x, chunks):
    """The array as if on disk, and the number of units of each chunk that was read."""
    reads = []

    def read(block):
        reads.append(block.shape[1])
        return block

    array = dask.array.from_array(x, chunks=chunks)
    return array.map_blocks(read, dtype=x.dtype, meta=np.zeros((0, 0))), reads


def test_the_population_is_read_once():
    x = np.random.default_rng(3).standard_normal((60, 300))
    array, reads = counted(x, (30, 110))
    population = Population(array)
    for fold in range(5):
        test = np.arange(fold * 12, fold * 12 + 12)
        view = population.fold(np.setdiff1d(np.arange(60), test), test)
        assert view.coordinates is view.coordinates
    assert sorted(reads) == [80, 80, 110, 110, 110, 110]


@pytest.mark.parametrize("metric", METRICS)
def test_scores_from_disk_are_those_from_memory(metric, monkeypatch):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((60, 300)).astype("f4"), rng.standard_normal((60, 200)).astype("f4")
    y[:, :50] += x[:, :50]
    expected = METRICS[metric]().fit(*(Population(z).fold(TRAIN, TEST) for z in (x, y))).score()
    monkeypatch.setattr("convergent.metrics.population.SMALL_BYTES", 0)
    monkeypatch.setattr("convergent.metrics.population.BLOCK_BYTES", 8 * 60 * 33)
    monkeypatch.setattr("convergent.metrics.soft_matching.HELD_BYTES", 0)
    for a, b in ((x, y), (y, x)):
        held = METRICS[metric]().fit(*(Population(z).fold(TRAIN, TEST) for z in (a, b))).score()
        views = (
            Population(dask.array.from_array(z, chunks=(25, 70))).fold(TRAIN, TEST) for z in (a, b)
        )
        found = METRICS[metric]().fit(*views).score()
        np.testing.assert_allclose(found.r, held.r, atol=1e-9)
        assert found.similarity == pytest.approx(held.similarity, abs=1e-9, nan_ok=True)
        if a is x:
            np.testing.assert_allclose(found.r, expected.r, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [20, 300])
def test_missing_values_on_disk_are_noticed(metric, p):
    x = np.random.default_rng(4).standard_normal((60, p))
    y = Population(x.copy()).fold(TRAIN, TEST)
    x[3, 7] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        METRICS[metric]().fit(Population(dask.array.from_array(x)).fold(TRAIN, TEST), y)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_correlations_are_scipys(kind):
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 30, 6)) * 10 + 100
    expected = [pearsonr(a[:, j], b[:, j]).statistic for j in range(6)]
    np.testing.assert_allclose(correlate(KINDS[kind](a), KINDS[kind](b)), expected, rtol=1e-10)


def test_a_constant_prediction_says_nothing_and_a_constant_response_has_no_score():
    varied, constant = np.random.default_rng(6).standard_normal((30, 1)), np.full((30, 1), 0.1)
    assert correlate(constant, varied)[0] == 0
    assert np.isnan(correlate(varied, constant)[0])
    assert np.isnan(correlate(constant, constant)[0])


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_correlations_in_resamples_are_those_of_rows_repeated(kind):
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((2, 30, 6)) * 10 + 1e4
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=5)
    found = correlate_resampled(KINDS[kind](a), KINDS[kind](b), counts.astype(float))
    assert isinstance(found, np.ndarray)
    for r, count in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(30), count)
        np.testing.assert_allclose(r, correlate(a[rows], b[rows]), rtol=1e-7)


def test_resamples_in_which_a_side_is_constant_are_as_constant_sides_are():
    varied = np.random.default_rng(8).standard_normal((30, 1)) + 7
    once = np.full((30, 1), 0.1)
    once[0] = 5.0  # varies by one stimulus
    counts = np.ones((3, 30))
    counts[1, :2] = 0, 2  # without it
    counts[2] = 30 * (np.arange(30) == 4)  # one stimulus alone
    predicted, observed = (
        correlate_resampled(*sides, counts)[:, 0] for sides in ((once, varied), (varied, once))
    )
    assert predicted[0] == pytest.approx(observed[0])
    assert abs(predicted[0]) > 0.01
    assert predicted[1] == 0
    np.testing.assert_array_equal(np.isnan(observed), [False, True, True])
    assert np.isnan(predicted[2])
    constant = np.full((30, 1), 0.1)
    assert np.isnan(correlate_resampled(varied, constant, counts)).all()
    np.testing.assert_array_equal(correlate_resampled(constant, varied, counts[:2]), 0)
