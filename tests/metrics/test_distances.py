"""Distances against netrep's and POT's figures, scipy, and what a metric must be."""

import itertools

import dask.array
import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.stats import ortho_group

from convergent import InputError, Population
from convergent.metrics.distances import DISTANCES, angular, euclidean, permutation, soft_matching

N, P = 40, 12
KINDS = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "dask": lambda x: dask.array.from_array(x, chunks=(17, 23)),
}
EVERY = DISTANCES | {
    "half whitened": lambda x, y: angular(x, y, alpha=0.5),
    "whitened": lambda x, y: angular(x, y, alpha=0),
}


def draw(seed, n=N, p=P):
    """Responses, far from zero and with units of unequal variance."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.standard_normal((n, p)), 0) * rng.uniform(0.5, 2, p) + 3


def between(distance, x, y, **options):
    return distance(Population(x), Population(y), **options)


# netrep's LinearMetric(alpha, score_method="angular") on the same arrays: units, alpha
ANGULAR = {
    (30, 0.0): 0.8642911724279122,
    (30, 0.5): 0.8505661487752326,
    (30, 1.0): 0.8527447806740713,
    (50, 1.0): 0.7712603825420646,
}


@pytest.mark.parametrize(("units", "alpha"), ANGULAR)
def test_angular_distance_is_netreps(synthetic, units, alpha):
    found = between(angular, synthetic.x[:, :units], synthetic.y, alpha=alpha)
    assert found == pytest.approx(ANGULAR[units, alpha], abs=1e-6)


def test_euclidean_distance_is_netreps(synthetic):
    assert between(euclidean, synthetic.x, synthetic.y) == pytest.approx(
        70.75973150854264, abs=1e-6
    )


def test_permutation_distance_is_netreps(synthetic):
    found = between(permutation, synthetic.x[:, :30], synthetic.y)
    assert found == pytest.approx(1.307474182741644, abs=1e-6)


@pytest.mark.parametrize(("units", "total"), [(50, 0.2749533428122684), (30, 0.26026553622094917)])
def test_soft_matching_distance_is_pots(synthetic, units, total):
    found = between(soft_matching, synthetic.x[:, :units], synthetic.y)
    assert found == pytest.approx(np.sqrt(2 - 2 * total), abs=1e-6)
    if units == 50:
        assert found == pytest.approx(1.2041982039413044, abs=1e-6)


SHAPES = [(12, 12), (12, 30), (30, 12), (300, 12), (12, 300), (150, 300)]


@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_euclidean_and_angular_distance_are_scipys(p, q):
    x, y = draw(0, p=p), draw(1, p=q)
    units = max(p, q)
    a, b = (np.pad(z - z.mean(0), ((0, 0), (0, units - z.shape[1]))) for z in (x, y))
    turn, nuclear = orthogonal_procrustes(b, a)
    assert between(euclidean, x, y) == pytest.approx(np.linalg.norm(a - b @ turn), rel=1e-7)
    cosine = nuclear / np.linalg.norm(a) / np.linalg.norm(b)
    assert between(angular, x, y) == pytest.approx(np.arccos(cosine), rel=1e-7)


@pytest.mark.parametrize(("p", "q"), [(12, 12), (12, 7), (7, 12)])
def test_whitened_populations_differ_by_their_canonical_correlations(p, q):
    x, y = draw(0, p=p), draw(1, p=q)
    correlations = np.cos(subspace_angles(x - x.mean(0), y - y.mean(0)))
    expected = np.arccos(correlations.sum() / np.sqrt(p * q))
    assert between(angular, x, y, alpha=0) == pytest.approx(expected, abs=1e-9)


def test_brute_force_finds_no_better_permutation():
    x, y = draw(0, p=6), draw(1, p=6)
    a, b = x - x.mean(0), y - y.mean(0)
    best = max(np.sum(a * b[:, order]) for order in itertools.permutations(range(6)))
    expected = np.arccos(best / np.linalg.norm(a) / np.linalg.norm(b))
    assert between(permutation, x, y) == pytest.approx(expected, abs=1e-12)


TRANSFORMATIONS = {
    "shift": lambda x: x + np.random.default_rng(2).normal(0, 5, P),
    "scale": lambda x: 7 * x,
    "scale of each unit": lambda x: x * np.random.default_rng(3).uniform(0.2, 5, P),
    "reflection": lambda x: -x,
    "rotation": lambda x: x @ ortho_group.rvs(P, random_state=4),
    "permutation of units": lambda x: x[:, np.random.default_rng(5).permutation(P)],
    "invertible linear map": lambda x: x @ np.random.default_rng(6).standard_normal((P, P)),
    "silent units": lambda x: np.hstack([x, np.ones((N, 5))]),
    "shuffle of stimuli": lambda x: x[np.random.default_rng(1).permutation(N)],
}
SHAPE = {"angular", "half whitened", "whitened"}
IGNORES = {
    "shift": set(EVERY),
    "scale": set(EVERY) - {"euclidean", "half whitened"},
    "scale of each unit": {"whitened", "soft-matching"},
    "reflection": SHAPE | {"euclidean"},
    "rotation": SHAPE | {"euclidean"},
    "permutation of units": set(EVERY),
    "invertible linear map": {"whitened"},
    "silent units": set(EVERY) - {"permutation"},
    "shuffle of stimuli": set(),
}


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_distance_is_zero_for_what_it_ignores_and_for_nothing_else(transformation):
    x = draw(0)
    changed = TRANSFORMATIONS[transformation](x)
    ignored = set()
    for name, distance in EVERY.items():
        if name == "permutation" and changed.shape != x.shape:
            continue
        found = between(distance, x, changed)
        if found < 1e-6:
            ignored.add(name)
        else:
            assert found > 0.01
    assert ignored == IGNORES[transformation]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_distances_are_symmetric(name, p, q):
    x, y = draw(0, p=p), draw(1, p=p if name == "permutation" else q)
    there, back = between(EVERY[name], x, y), between(EVERY[name], y, x)
    assert there == pytest.approx(back, abs=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_no_detour_is_shorter(name):
    rng = np.random.default_rng(0)
    base = draw(0, p=P)
    populations = []
    for i in range(8):  # some close to each other, some far; of all sizes where that is allowed
        q = P if name == "permutation" else int(rng.choice([P - 5, P, P + 5, N - 8]))
        mix = np.eye(P, q) + 0.5 * rng.standard_normal((P, q))
        populations.append(Population(base @ mix + rng.choice([0.1, 1, 5]) * draw(i + 1, p=q)))
    distance = EVERY[name]
    d = np.array([[distance(x, y) for y in populations] for x in populations])
    np.testing.assert_allclose(np.diag(d), 0, atol=1e-5)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-6).all()
    assert d[np.triu_indices(8, 1)].min() > 1e-3


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", ["torch", "dask"])
@pytest.mark.parametrize("p", [P, 150])
def test_arrays_of_all_kinds_give_the_same(name, kind, p):
    x, y = draw(0, p=p), draw(1, p=p)
    expected = between(EVERY[name], x, y)
    found = between(EVERY[name], KINDS[kind](x), KINDS[kind](y))
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_distance_grows_with_noise(name):
    x, noise = draw(0), draw(1)
    found = [between(EVERY[name], x, x + share * noise) for share in (0, 0.1, 0.5, 2)]
    assert (np.diff(found) > 0.01).all()


def test_euclidean_distance_of_a_scaled_copy_is_the_difference_in_size():
    x = draw(0)
    expected = 2 * np.linalg.norm(x - x.mean(0))
    rotated = 3 * x @ ortho_group.rvs(P, random_state=4)
    assert between(euclidean, x, rotated) == pytest.approx(expected, rel=1e-9)


def test_many_units_bring_independent_populations_close():
    few, many = (between(angular, draw(0, p=p), draw(1, p=p)) for p in (12, 2000))
    assert many < 0.25 < 0.7 < few
    assert between(angular, draw(0, p=60), draw(1, p=60), alpha=0) < 1e-6  # as the notes say


@pytest.mark.parametrize("name", EVERY)
def test_a_silent_population_has_no_shape(name):
    x, silent = draw(0), np.ones((N, P))
    found = between(EVERY[name], x, silent)
    expected = {"euclidean": np.linalg.norm(x - x.mean(0))}
    np.testing.assert_allclose(found, expected.get(name, np.nan), rtol=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_stimuli_must_be_the_same_and_enough(name):
    with pytest.raises(InputError, match=r"40 stimuli and the other 30.*align"):
        between(DISTANCES[name], draw(0), draw(1, n=30))
    with pytest.raises(InputError, match=r"over 2 stimuli says nothing.*at least 3"):
        between(DISTANCES[name], draw(0, n=2), draw(1, n=2))


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_checked(alpha):
    with pytest.raises(InputError, match="from 0"):
        between(angular, draw(0), draw(1), alpha=alpha)


def test_a_permutation_needs_as_many_units():
    with pytest.raises(InputError, match=r"12 units cannot be a permutation of 11.*soft_matching"):
        between(permutation, draw(0), draw(1, p=11))


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"euclidean"}))
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_silent_populations_have_no_distance(name, value):
    silent = np.full((N, P), value)
    for sides in ((silent, silent), (silent, draw(0)), (draw(0), silent)):
        assert np.isnan(between(EVERY[name], *sides))


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"euclidean", "half whitened"}))
@pytest.mark.parametrize("factor", [1e-10, 1e10])
def test_the_scale_of_a_population_changes_no_distance(name, factor):
    expected = between(EVERY[name], draw(0), draw(1))
    found = between(EVERY[name], factor * draw(0), draw(1))
    assert found == pytest.approx(expected, abs=1e-7)
