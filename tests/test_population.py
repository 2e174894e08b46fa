"""Coordinates of a population against a direct SVD, in all kinds of arrays."""

import dask.array
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from convergent import METRICS, InputError
from convergent.population import Population, correlate

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
    axes = Population(KINDS[kind](x)).split(TRAIN, TEST).coordinates
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
    view = Population(KINDS[kind](x)).split(TRAIN, TEST)
    expanded = np.asarray(view.expand(view.coordinates.train))
    np.testing.assert_allclose(expanded, x[TRAIN] - x[TRAIN].mean(0), atol=1e-9)


def test_blocks_of_units_change_nothing(monkeypatch):
    x = np.random.default_rng(2).standard_normal((60, 300))
    whole = Population(x).gram
    monkeypatch.setattr("convergent.population.BLOCK_BYTES", 8 * 60 * 7)
    np.testing.assert_allclose(Population(x).gram, whole, rtol=1e-12, atol=1e-10)


def test_the_population_is_read_once():
    reads = []
    x = np.random.default_rng(3).standard_normal((60, 300))

    class Counted(Population):
        def columns(self, columns, rows=None):
            reads.append(columns)
            return super().columns(columns, rows)

    population = Counted(x)
    for fold in range(5):
        test = np.arange(fold * 12, fold * 12 + 12)
        view = population.split(np.setdiff1d(np.arange(60), test), test)
        assert view.coordinates is view.coordinates
    assert len(reads) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [20, 300])
def test_missing_values_on_disk_are_noticed(metric, p):
    x = np.random.default_rng(4).standard_normal((60, p))
    y = Population(x.copy()).split(TRAIN, TEST)
    x[3, 7] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        METRICS[metric]().fit(Population(dask.array.from_array(x)).split(TRAIN, TEST), y)


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
