"""Clusters of units: the graph against scikit-learn's, the spans against direct formulas."""

import numpy as np
import pytest
from cases import labelled
from scipy.linalg import subspace_angles
from sklearn.cluster import spectral_clustering
from sklearn.cross_decomposition import CCA
from sklearn.metrics import adjusted_rand_score

import convergent as cv
from convergent import features
from convergent.features._bipartite_graph import Graph, from_largest, rand_index
from convergent.features._cross_moments import CrossMoments
from convergent.features._subspaces import canonical_correlations, dimension, groups


def blocks(n=400, sizes=(5, 4, 3), noise=0.3, seed=0):
    """Both networks see the same few features in each block, mixed at random."""
    rng = np.random.default_rng(seed)
    sides = [[], []]
    for size in sizes:
        shared = rng.standard_normal((n, 1)) + 0.3 * rng.standard_normal((n, size))
        for side in sides:
            mixed = shared @ np.abs(rng.standard_normal((size, size)))
            side.append(mixed / mixed.std(0) + noise * rng.standard_normal((n, size)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return *(labelled(np.concatenate(side, 1)) for side in sides), np.tile(truth, 2)


def test_clusters_are_those_of_the_whole_graph():
    """scikit-learn's spectral clustering of all p + q nodes finds the same."""
    a, b, truth = blocks()
    r = np.corrcoef(a.data.values.T, b.data.values.T)[:12, 12:]
    weights = np.abs(r)
    whole = np.block([[np.zeros((12, 12)), weights], [weights.T, np.zeros((12, 12))]])
    theirs = spectral_clustering(whole, n_clusters=3, random_state=0)
    ours = Graph.of(r, "absolute", 0.0).embedding(3).clusters()
    assert adjusted_rand_score(ours, theirs) == adjusted_rand_score(ours, truth) == 1


def test_singular_values_are_eigenvalues_of_the_normalized_graph():
    weights = np.random.default_rng(1).random((6, 4))
    whole = np.block([[np.zeros((6, 6)), weights], [weights.T, np.zeros((4, 4))]])
    root = np.sqrt(whole.sum(0))
    values = np.linalg.eigvalsh(whole / root / root[:, None])
    np.testing.assert_allclose(Graph(weights).singular_values, values[::-1][:4], atol=1e-7)


def test_numbers_go_from_the_largest():
    found = from_largest(np.array([2, 0, 0, -1, 2, 2, 1]))
    assert found.tolist() == [0, 1, 1, -1, 0, 0, 2]


def test_blocks_are_found_and_scored():
    a, b, truth = blocks()
    found = features.clusters(a, b)
    assert found.attrs["k"] == 3
    assert adjusted_rand_score(found["label"], truth) == 1
    assert adjusted_rand_score(found["branch"], truth) == 1
    assert found["n_units"].values.tolist() == [[5, 5], [4, 4], [3, 3]]
    np.testing.assert_allclose(found["balance"], 1)
    assert sorted(found["place"].values) == list(range(24))
    size = np.abs(found["between"].values)
    np.testing.assert_allclose(found["within"][0], size[:5, :5].mean())
    rest = np.concatenate([size[:5, 5:].ravel(), size[5:, :5].ravel()])
    np.testing.assert_allclose(found["across"][0], rest.mean())
    assert (found["within"] > found["across"] + 0.3).all()
    assert float(found["stability"].min()) == 1
    assert float(found["stability_of_starts"]) == 1


def test_positive_edges_part_what_goes_opposite_ways():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 2))[:, [0, 0, 1, 1]] * [1, -1, 1, -1]
    a, b = (labelled(x + 0.3 * rng.standard_normal(x.shape)) for _ in range(2))
    assert features.clusters(a, b, k=2)["label"].values[:4].tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    apart = features.clusters(a, b, edges="positive")
    assert apart.attrs["k"] == 4


def test_canonical_correlations_are_scikit_learns():
    rng = np.random.default_rng(3)
    shared = rng.standard_normal((400, 2))
    x = np.concatenate([shared, rng.standard_normal((400, 1))], 1) @ rng.standard_normal((3, 3))
    y = shared @ rng.standard_normal((2, 2)) + 0.5 * rng.standard_normal((400, 2))
    train, test = CrossMoments.of(x[:300], y[:300]), CrossMoments.of(x[300:], y[300:])
    fitted = CCA(2, max_iter=10_000, tol=1e-12).fit(x[:300], y[:300])
    one, other = fitted.transform(x[300:], y[300:])
    expected = [np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(2)]
    parts = groups([(train, test)], np.arange(3), np.arange(2))
    np.testing.assert_allclose(canonical_correlations(parts), expected, atol=1e-4)
    # on the same stimuli their arccos are the principal angles of the spans
    same = canonical_correlations(groups([(train, train)], np.arange(3), np.arange(2)))
    centred = [side[:300] - side[:300].mean(0) for side in (x, y)]
    np.testing.assert_allclose(np.arccos(same), np.sort(subspace_angles(*centred)), atol=1e-6)


def test_dimension_is_the_number_of_equal_axes():
    assert dimension(np.diag([2.0, 2, 2, 0])) == pytest.approx(3)


def test_a_graph_that_falls_apart():
    """Three blocks that share nothing: found without k; merged, with a warning, where k is two."""
    a, b, truth = blocks(n=2000, noise=0.1)
    parts = features.clusters(a, b, floor=0.2)
    assert (parts["singular_values"][:3] > 1 - 1e-9).all()
    assert adjusted_rand_score(parts["label"], truth) == 1
    with pytest.warns(UserWarning, match="falls into 3 parts, and k is 2"):
        features.clusters(a, b, k=2, floor=0.2, halves=0, rotations=0)


def test_negative_correlations_alone_make_no_positive_graph():
    x = np.random.default_rng(4).standard_normal((200, 1))
    a, b = (
        labelled(sign * x + 0.1 * noise)
        for sign, noise in (
            (1, np.random.default_rng(5).standard_normal((200, 3))),
            (-1, np.random.default_rng(6).standard_normal((200, 3))),
        )
    )
    with pytest.warns(UserWarning, match="take edges='absolute'"):
        none = features.clusters(a, b, edges="positive")
    assert (none["label"] == -1).all()
    assert none.attrs["k"] == len(features.cluster_table(none)) == 0
    assert cv.plot.clusters(none).axes
    assert (features.clusters(a, b, k=2)["label"] >= 0).all()


def test_independent_populations_score_nothing_on_held_out_stimuli():
    """Clusters of chance correlations, found on training stimuli, mean nothing on others."""
    scores = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a, b = (labelled(rng.standard_normal((80, 60))) for _ in range(2))
        found = features.clusters(a, b, floor=0.2, k=5, halves=0, rotations=1)
        names = ("canonical", "matched", "matched_rotated", "predicted")
        scores.append([float(found[f"{name}_held_out"].mean()) for name in names])
    assert np.abs(np.mean(scores, axis=0)).max() < 0.06


def test_units_silent_on_some_folds_do_no_harm():
    rng = np.random.default_rng(7)
    shared = np.maximum(rng.standard_normal((60, 12)) - 1.6, 0)
    a, b = (labelled(shared + 0.01 * shared.any(1)[:, None]) for _ in range(2))
    found = features.clusters(a, b, floor=0.2, rotations=1)
    for name in ("matched", "predicted", "canonical_mean"):
        known = found[name].dropna("cluster").values
        assert len(known)
        assert ((known > 0) & (known <= 1)).all()


def test_chance_of_groups_does_not_hang_on_names():
    """Units that tell groups of unequal sizes apart, in order and interleaved."""
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(12), rng.integers(6, 14, 12))
    values = [rng.standard_normal((12, 15))[group] for _ in range(2)]
    floors = []
    for order in (np.arange(len(group)), rng.permutation(len(group))):
        a, b = (
            cv.Assembly.from_array(
                one[order],
                stimuli=[f"s{i:04d}" for i in range(len(group))],
                kind=("stimulus", group[order].astype(str)),
            )
            for one in values
        )
        folds = cv.Folds(3, group="kind")
        found = features.clusters(a, b, k=2, folds=folds, halves=0, rotations=0)
        floors.append(found.attrs["floor"])
    assert floors[1] == pytest.approx(floors[0], abs=0.15)
    assert min(floors) > 0.4  # a dozen groups are few


def test_a_floor_that_is_given_is_kept_in_halves():
    a, b, _ = blocks(n=2000, noise=0.1)
    found = features.clusters(a, b, floor=0.75)
    assert np.isfinite(found["stability"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 1}, "k=1: give a whole number from 2 up"),
        ({"k": 13}, "whole number from 2 to 12"),
        ({"edges": "signed"}, "no kind of edges 'signed'"),
        ({"floor": 1.2}, r"floor=1\.2"),
        ({"halves": -1}, "halves=-1"),
    ],
)
def test_bad_options_are_refused(options, message):
    a, b, _ = blocks()
    with pytest.raises(cv.InputError, match=message):
        features.clusters(a, b, **options)


def test_silent_units_and_few_stimuli():
    a, b, _ = blocks(n=30, sizes=(20, 20))
    values = a.data.values.copy()
    values[:, 0] = 1.0
    found = features.clusters(labelled(values), b)
    assert found["label"].values[0] == -1
    assert found.attrs["k"] >= 2


@pytest.mark.filterwarnings("ignore:no correlation")
@pytest.mark.parametrize("kind", ["gaussian", "sparse"])
def test_clusters_of_noise_are_not_stable(kind):
    """A few units get a cluster by chance; those of two halves are others."""
    stable, of_starts = [], []
    for seed in range(8):
        x, y = np.random.default_rng(seed).standard_normal((2, 100, 40))
        if kind == "sparse":
            x, y = np.maximum(x - 1, 0), np.maximum(y - 1, 0)
        found = features.clusters(labelled(x), labelled(y), rotations=0)
        assert 0 <= (found["label"].values >= 0).sum() < 30
        stable += found["stability"].values.tolist()
        of_starts += [found["stability_of_starts"].item(), found["agreement_of_tree"].item()]
    assert abs(np.nanmean(stable)) < 0.03
    assert np.nanmax(stable) < 0.4
    assert np.isnan(of_starts).all()


@pytest.mark.parametrize("private", [0, 14])
def test_planted_clusters_are_stable(private):
    """Also where most units are in none."""
    a, b, truth = blocks(n=1000, sizes=(5, 4, 3))
    rng = np.random.default_rng(1)
    sides = [np.hstack([one.data.values, rng.standard_normal((1000, private))]) for one in (a, b)]
    found = features.clusters(*map(labelled, sides), k=3, floor=0.2, rotations=0)
    assert found["stability"].values.tolist() == [1, 1, 1]
    found = features.clusters(*map(labelled, sides), rotations=0)
    assert float(found["stability"].mean()) > 0.7
    assert found["stability_of_starts"].item() > 0.7
    assert found["agreement_of_tree"].item() > 0.7
    labels = found["label"].values.reshape(2, -1)[:, :12].ravel()
    assert adjusted_rand_score(labels, truth) == 1


def test_units_without_a_cluster_are_clusters_of_their_own():
    one, none = np.array([0, 0, 1, 1, -1, -1]), np.full(6, -1)
    assert rand_index(one, one) == 1
    assert rand_index(one, none) == 0
    assert np.isnan(rand_index(none, none))
    expected = adjusted_rand_score([0, 0, 1, 1, 2, 3], [0, 1, 2, 3, 4, 4])
    assert rand_index(one, np.array([-1, -1, -1, -1, 0, 0])) == expected
