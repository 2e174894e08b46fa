"""Hierarchies: scores of all pairs of layers, partners, and what follows from their depth."""

import numpy as np
import pytest
from scipy import stats

import convergent as cv
from convergent import hierarchy

N = 120
METRICS = ["linear", "procrustes", "soft-matching"]


def network(seed, layers=5, units=30, noise=0.3):
    """Layers that each change the responses of the one before; each seed has its own axes."""
    shared = np.random.default_rng(0)
    own = np.random.default_rng([1, seed])
    hidden = shared.standard_normal((N, units))
    found = {}
    for k in range(layers):
        mix = shared.standard_normal((units, units)) / units**0.5
        hidden = 0.75 * hidden + 0.65 * np.tanh(1.5 * hidden @ mix)
        values = hidden[:, own.permutation(units)] + noise * own.standard_normal((N, units))
        names = [f"{i:04d}" for i in range(N)]
        found[f"layer{k}"] = cv.Assembly.from_array(values, stimuli=names, name=f"layer{k}")
    return found


@pytest.fixture(scope="module")
def two():
    return network(1), network(2)


@pytest.fixture(scope="module")
def found(two):
    return hierarchy(*two, METRICS, bootstrap=cv.Bootstrap(15, refits=4), shuffle=cv.Shuffle(3))


def test_each_layer_finds_its_counterpart(found):
    names = [f"layer{k}" for k in range(5)]
    for metric in METRICS:
        part = found.sel(metric=metric)
        assert part["partner_of_target"].values.tolist() == names
        assert part["partner_of_source"].values.tolist() == names
        assert part["depth_correlation"] == pytest.approx(1)
        assert part["diagonal"] > 0.02
        assert part["diagonal_low"] > 0
        assert part["diagonal_low"] < part["diagonal"] < part["diagonal_high"]


def test_it_holds_the_scores_of_all_pairs(two, found):
    scores = cv.score(*two, METRICS, ceiling="self", shuffle=cv.Shuffle(3))
    table = cv.summary(scores).set_index(["metric", "source", "target"])
    for key, row in table.iterrows():
        cell = found.sel(dict(zip(("metric", "source", "target"), key, strict=True)))
        assert float(cell["r"]) == pytest.approx(row["r"], abs=1e-12)
        assert float(cell["normalized"]) == pytest.approx(row["normalized"], abs=1e-12)
        assert float(cell["ceiling"]) == pytest.approx(row["ceiling"], abs=1e-12)
    assert found["r_shuffled"].dims == ("metric", "source", "target", "shuffle")
    assert np.abs(found["r_shuffled"]).max() < found["r"].min()


def test_layers_of_a_network_in_another_order_are_recovered():
    layers = network(1)
    order = [3, 0, 4, 2, 1]
    shuffled = {f"layer{k}": layers[f"layer{k}"] for k in order}
    found = hierarchy(layers, shuffled, METRICS, bootstrap=None)
    for metric in METRICS:
        assert found["partner_of_target"].sel(metric=metric).values.tolist() == list(shuffled)
        expected = stats.spearmanr(np.arange(5), order).statistic
        assert found["depth_correlation"].sel(metric=metric) == pytest.approx(expected)


def test_how_sure_a_partner_is(found):
    for side, other in (("target", "source"), ("source", "target")):
        share = found[f"sure_of_{side}"]
        np.testing.assert_allclose(share.sum(other), 1)
        assert (share.max(other) > 0.5).all()
        own = np.diagonal(share.values, axis1=1, axis2=2)
        np.testing.assert_array_equal(own, share.max(other))
        # soft matching tells these layers apart without doubt, a linear map less surely
        assert (share.sel(metric="soft-matching").max(other) > 0.9).all()


def test_networks_of_different_length_and_recordings(two):
    longer = network(2, layers=7)
    found = hierarchy(two[0], longer, "procrustes", bootstrap=None)
    assert found["r"].shape == (1, 5, 7)
    np.testing.assert_allclose(found["source_depth"], np.arange(5) / 4)
    np.testing.assert_allclose(found["target_depth"], np.arange(7) / 6)
    rng = np.random.default_rng(0)
    regions = {
        name: cv.Assembly.from_array(
            two[1][layer].data.values[..., None] + rng.standard_normal((N, 30, 4)),
            stimuli=two[1][layer].stimuli,
            dims=("stimulus", "unit", "repeat"),
        )
        for name, layer in (("V1", "layer0"), ("IT", "layer4"))
    }
    brain = hierarchy(two[0], regions, "linear", ceiling="split-half", bootstrap=None)
    assert brain["partner_of_target"].values.tolist() == [["layer0", "layer4"]]
    assert (brain["normalized"] > brain["r"]).all()


def unrelated(seed, layers, units=6):
    """Layers with nothing in common, so that partners are random."""
    rng = np.random.default_rng(seed)
    names = [f"{i:02d}" for i in range(30)]
    return {
        f"layer{k}": cv.Assembly.from_array(rng.standard_normal((30, units)), stimuli=names)
        for k in range(layers)
    }


QUICK = {"metrics": "procrustes", "folds": cv.Folds(3), "ceiling": None}


@pytest.mark.parametrize("seed", range(6))
def test_depth_correlation_is_spearmans(seed):
    found = hierarchy(unrelated([seed, 0], 8), unrelated([seed, 1], 9), **QUICK)
    partners = found["r"].values[0].argmax(axis=0)
    expected = stats.spearmanr(np.arange(9), partners).statistic
    assert float(found["depth_correlation"][0]) == pytest.approx(expected, abs=1e-12)


def one_partner(seed=0):
    """Four source layers, and targets that are all like the third of them."""
    source, common = unrelated(seed, 4), unrelated(1, 1)["layer0"]
    source["layer2"] = common
    noise = np.random.default_rng(2)
    target = {
        f"layer{k}": cv.Assembly(common.data + 0.1 * noise.standard_normal(common.data.shape))
        for k in range(4)
    }
    return source, target


@pytest.mark.parametrize("bootstrap", [None, cv.Bootstrap(10, refits=2)])
def test_there_is_no_depth_correlation_if_all_layers_have_the_same_partner(bootstrap):
    with pytest.warns(UserWarning, match=r"'depth_correlation' is NaN by 'procrustes'.*'layer2'"):
        found = hierarchy(*one_partner(), **QUICK, bootstrap=bootstrap)
    assert set(found["partner_of_target"].values.ravel()) == {"layer2"}
    names = [name for name in found.data_vars if str(name).startswith("depth_correlation")]
    assert len(names) == (3 if bootstrap else 1)
    assert all(np.isnan(found[name]).all() for name in names)


def test_copies_of_one_layer_are_no_order():
    target = unrelated(1, 4)
    with pytest.warns(UserWarning, match="all target layers have the same partner"):
        found = hierarchy(dict.fromkeys("abcd", unrelated(0, 1)["layer0"]), target, **QUICK)
    assert set(found["partner_of_target"].values.ravel()) == {"a"}
    assert np.isnan(found["depth_correlation"]).all()


def test_a_layer_without_scores_has_no_partner():
    source, target = unrelated(0, 3), unrelated(1, 3)
    silent = np.zeros((30, 6))
    silent[0] = 1  # it varies, but not over the training stimuli of every fold
    names = source["layer0"].stimuli
    target["layer1"] = cv.Assembly.from_array(silent, stimuli=names)
    settings = QUICK | {"metrics": "soft-matching"}
    with pytest.warns(UserWarning, match="no score with any source layer"):
        found = hierarchy(source, target, **settings)
    assert found["partner_of_target"].values[0, 1] == ""
    assert np.isnan(found["depth_correlation"]).all()
    assert np.isfinite(found["diagonal"]).all()
    titles = [panel.get_title() for panel in cv.plot.hierarchy(found).axes]
    assert "rank correlation of depths not defined" in titles


def test_diagonal_is_that_of_proportional_depth():
    found = hierarchy(unrelated(3, 3), unrelated(4, 5), **QUICK)
    near = np.zeros((3, 5), dtype=bool)
    for source, target in ((0, 0), (0, 1), (1, 1), (1, 2), (1, 3), (2, 3), (2, 4)):
        near[source, target] = True
    r = found["r"].values[0]
    expected = r[near].mean() - r[~near].mean()
    assert float(found["diagonal"][0]) == pytest.approx(expected, abs=1e-12)
    same = dict.fromkeys(("a", "b", "c", "d"), unrelated(5, 1)["layer0"])
    with pytest.warns(UserWarning, match="all target layers have the same partner"):
        found = hierarchy(same, same, **QUICK)
    assert float(found["diagonal"][0]) == pytest.approx(0)


def test_nothing_in_common_shows_no_order():
    rng = np.random.default_rng(5)
    names = [f"{i:04d}" for i in range(N)]
    sides = [
        {
            f"{k}": cv.Assembly.from_array(rng.standard_normal((N, 20)), stimuli=names)
            for k in range(6)
        }
        for _ in range(2)
    ]
    found = hierarchy(*sides, ["linear", "procrustes"], bootstrap=cv.Bootstrap(30, refits=8))
    assert (found["diagonal_low"] < 0).all()
    assert (found["diagonal_high"] > 0).all()
    assert found["sure_of_target"].max() < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "source is Assembly: a hierarchy takes a dict"),
        ({"target": {}}, r"target is 0 layer\(s\): a hierarchy takes a dict of two layers or more"),
        ({"bootstrap": cv.Bootstrap(5, over="units")}, "only 'stimuli' are drawn"),
    ],
)
def test_bad_input_is_refused(two, change, message):
    given = {"source": two[0], "target": two[1], "metrics": "linear"} | change
    if given["source"] is None:
        given["source"] = two[0]["layer0"]
    with pytest.raises(cv.InputError, match=message):
        hierarchy(**given)


def test_scores_of_controls_are_those_of_the_populations_in_place(two):
    source, target = two
    turned = cv.rotated(source)
    found = hierarchy(source, target, METRICS, controls={"rotated": turned}, bootstrap=None)
    alone = cv.score(turned, target, METRICS, units=False, ceiling=None)
    np.testing.assert_array_equal(found["r_chance"].sel(chance="rotated"), alone["r"])
    for metric in ("linear", "procrustes"):
        same = found["r_chance"].sel(chance="rotated", metric=metric)
        np.testing.assert_allclose(same, found["r"].sel(metric=metric), atol=1e-6)
    matched = found["r_chance"].sel(chance="rotated", metric="soft-matching")
    assert (matched < found["r"].sel(metric="soft-matching")).all()
    with pytest.raises(cv.InputError, match="control 'untrained' has layers"):
        hierarchy(source, target, METRICS, controls={"untrained": {"layer0": source["layer0"]}})
