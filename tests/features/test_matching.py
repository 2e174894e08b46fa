"""Matched units: partners of training stimuli, correlations on others, chance and intervals."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from cases import image_names, labelled
from scipy.optimize import linear_sum_assignment
from sklearn.model_selection import KFold

import convergent as cv
from convergent import features
from convergent.features._assignment import bipartite, partners, semi
from convergent.features._cross_moments import CrossMoments


def random_pair(n=200, p=12, q=9, shared=6, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, p)), rng.standard_normal((n, q))
    y[:, :shared] = x[:, :shared] + noise * rng.standard_normal((n, shared))
    return labelled(x, "A"), labelled(y, "B")


# assignment


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_the_bipartite_matching_is_the_best_of_all(shape):
    weights = np.random.default_rng(1).standard_normal(shape)
    of_source, of_target = bipartite(weights)
    rows = np.flatnonzero(of_source >= 0)
    total = weights[rows, of_source[rows]].sum()
    wide = weights if shape[0] <= shape[1] else weights.T
    every = permutations(range(wide.shape[1]), wide.shape[0])
    best = max(sum(wide[i, j] for i, j in enumerate(chosen)) for chosen in every)
    assert total == pytest.approx(best)
    np.testing.assert_array_equal(of_target[of_source[rows]], rows)
    assert (of_source >= 0).sum() == (of_target >= 0).sum() == min(shape)


def test_bounds_of_the_bipartite_total():
    rng = np.random.default_rng(2)
    for _ in range(20):
        weights = rng.uniform(-1, 1, (30, 30))
        of_source, _ = bipartite(weights)
        (mine, best), (theirs, _) = (partners(weights)[k, :30] for k in (0, 1)), semi(weights)
        np.testing.assert_array_equal(mine, of_source)
        np.testing.assert_array_equal(best, theirs)
        total = weights[np.arange(30), mine].sum()
        rows, columns = linear_sum_assignment(-weights)
        assert total == pytest.approx(weights[rows, columns].sum())
        assert total <= weights.max(1).sum()  # the semi-matching of the source units
        # semi-matching restricted to one-to-one: the best left over, one unit after the other
        free, greedy = set(range(30)), 0.0
        for row in np.argsort(-weights.max(1)):
            column = max(free, key=lambda j: weights[row, j])
            greedy += weights[row, column]
            free.remove(column)
        assert total >= greedy


def test_moments_are_numpys():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((50, 3)) + 0.3
    whole, part = CrossMoments.of(x, y), CrossMoments.of(x[:20], y[:20])
    rest = whole - part
    r = np.corrcoef(x[20:].T, y[20:].T)[:4, 4:]
    np.testing.assert_allclose(rest.correlation, r, atol=1e-12)
    np.testing.assert_allclose((part + rest).xy, whole.xy)
    shown = part.standardized(rest)
    z = (x[:20] - x[20:].mean(0)) / x[20:].std(0)
    w = (y[:20] - y[20:].mean(0)) / y[20:].std(0)
    for name, expected in {
        "x": z.sum(0),
        "y": w.sum(0),
        "xx": z.T @ z,
        "xy": z.T @ w,
        "yy": w.T @ w,
    }.items():
        np.testing.assert_allclose(getattr(shown, name), expected, atol=1e-9)


# match_units


@pytest.fixture(scope="module")
def matched():
    a, b = random_pair()
    return a, b, features.match_units(a, b)


def test_partners_and_r_are_those_of_a_direct_loop(matched):
    a, b, found = matched
    x, y = a.data.values, b.data.values
    for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(x)):
        r = np.corrcoef(x[train].T, y[train].T)[:12, 12:]
        held_out = np.corrcoef(x[test].T, y[test].T)[:12, 12:]
        rows, columns = linear_sum_assignment(-r)
        expected = np.full(12, np.nan)
        expected[rows] = held_out[rows, columns]
        got = found["r"].isel(fold=fold)
        np.testing.assert_allclose(got.sel(matching="bipartite")[:12], expected, atol=1e-12)
        best = held_out[r.argmax(0), np.arange(9)]
        np.testing.assert_allclose(got.sel(matching="semi")[12:], best, atol=1e-12)
        trained = found["r_train"].isel(fold=fold).sel(matching="semi")[:12]
        np.testing.assert_allclose(trained, r.max(1), atol=1e-12)


def test_training_is_higher_and_chance_is_zero(matched):
    *_, found = matched
    assert float(found["r_train"].mean()) > float(found["r"].mean())
    for matching in ("bipartite", "semi"):
        chance = found["r_shuffled"].sel(matching=matching).mean("unit")
        assert abs(float(chance.mean())) < 3.5 * float(chance.std()) / len(chance) ** 0.5
        assert float(found["r_train_shuffled"].sel(matching=matching).mean()) > 0.05


def test_a_network_matches_itself():
    a, _ = random_pair()
    found = features.match_units(a, a)
    np.testing.assert_allclose(found["r"], 1)
    assert (found["partner"].values == found["unit"].values).all()
    table = features.unit_table(found)
    assert set(table["class"]) == {"shared"}
    assert table["agree"].all()
    summary = features.match_summary(found)
    assert summary["agreement"].tolist() == summary["shared"].tolist() == [1, 1]


def test_the_order_of_stimuli_does_not_matter(matched):
    a, b, found = matched
    order = np.random.default_rng(4).permutation(200)
    other = features.match_units(cv.Assembly(a.data.isel(stimulus=order)), b)
    np.testing.assert_allclose(other["r"], found["r"], atol=1e-12)


def test_units_that_compete_have_a_gap():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300, 2))
    twins = x[:, [0, 0]] + 0.3 * rng.standard_normal((300, 2))
    table = features.unit_table(features.match_units(labelled(twins), labelled(x)))
    source = table[table["side"] == "source"]
    assert len(set(source["partner"])) == 1
    assert source["rivals"].tolist() == [1, 1]
    assert source["one_to_one"].nunique() == 2
    assert source["gap"].max() > 0.5
    assert sorted(source["agree"]) == [False, True]


def test_absolute_correlations_find_what_goes_the_other_way():
    a, b = random_pair(shared=9, q=9)
    flipped = cv.Assembly(-b.data)
    signed = features.match_units(a, flipped, shuffle=None, bootstrap=None)
    sizes = features.match_units(a, flipped, measure="absolute", shuffle=None, bootstrap=None)
    plain = features.match_units(a, b, shuffle=None, bootstrap=None)
    best = {"matching": "semi"}
    np.testing.assert_allclose(sizes["r"].sel(best)[:, 12:], plain["r"].sel(best)[:, 12:])
    assert float(signed["r"].sel(best)[:, 12:].mean()) < 0.3


def test_information_finds_what_is_not_linear():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((600, 3))
    y = x**2 + 0.1 * rng.standard_normal((600, 3))
    a, b = labelled(x), labelled(y)
    by_bits = features.match_units(a, b, measure="mutual-information", shuffle=None, bootstrap=None)
    assert (by_bits["partner"].sel(matching="semi").values[:3] == b.units).all()
    assert float(by_bits["information"].min()) > 0.8  # bits, on test stimuli
    by_r = features.match_units(a, b, shuffle=None, bootstrap=None)
    same = features.agreement(by_r, by_r)
    assert (same["same_partner"] == 1).all()
    assert features.agreement(by_r, by_bits)["same_partner"].min() < 1


def test_intervals_hold_the_truth():
    """Of pairs that correlate by 0.6: in about 95% of them."""
    rng = np.random.default_rng(7)
    n, p, rho = 150, 60, 0.6
    held = []
    for _ in range(5):
        x = rng.standard_normal((n, p))
        y = rho * x + (1 - rho**2) ** 0.5 * rng.standard_normal((n, p))
        found = features.match_units(labelled(x), labelled(y), shuffle=None)
        low, high = (found[f"r_{end}"].sel(matching="bipartite")[:p] for end in ("low", "high"))
        held.append((low < rho) & (rho < high))
    assert 0.91 < np.mean(held) < 0.985


def test_noise_differs_from_lack_of_a_counterpart():
    rng = np.random.default_rng(8)
    x = rng.standard_normal((300, 4))
    sd = np.array([0.5, 2.0, 2.0, 60.0])
    trials = x[..., None] + sd[:, None] * rng.standard_normal((300, 4, 8))
    recording = cv.Assembly.from_array(
        trials,
        dims=("stimulus", "unit", "repeat"),
        stimuli=image_names(300),
        units=list("abcd"),
    )
    found = features.match_units(labelled(x), recording)
    table = features.unit_table(found)
    target = table[table["side"] == "target"].set_index("unit")
    expected = 1 / np.sqrt(1 + sd**2 / 8)
    np.testing.assert_allclose(target["r"][:3], expected[:3], atol=0.08)
    np.testing.assert_allclose(target["normalized"][:3], 1, atol=0.08)
    assert target["class"].tolist() == ["shared"] * 3 + ["unreliable"]


def test_rectangular_matchings_have_p_for_whoever_has_a_partner():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((150, 30))
    found = features.match_units(labelled(x), labelled(x[:, :10]))
    one = found.sel(matching="bipartite")
    known = np.isfinite(one["r"].mean("fold"))
    assert np.isfinite(one["p"].values[:10]).all()
    assert (one["p"].values[:10] < 0.01).all()
    assert not np.isfinite(one["p"].values[~known.values]).any()
    assert np.isnan(one["same_partner"].values[:30][~known.values[:30]]).all()
    loose = features.match_units(labelled(x[:, 10:]), labelled(x[:, :10]))
    assert np.isfinite(features.agreement(loose, loose)["r_one"]).all()


def test_intervals_are_of_the_folds_that_count():
    """A partner that is silent on some test stimuli has no correlation there, from either side."""
    rng = np.random.default_rng(12)
    order = np.concatenate([test for _, test in cv.Folds(5).split(100)])
    x = rng.standard_normal((100, 1))
    y = x + 0.5 * rng.standard_normal((100, 1))
    y[order[:40]] = 0.0  # all of two folds
    other = rng.standard_normal((100, 1))
    one, two = labelled(np.hstack([x, other])), labelled(np.hstack([y, other]))
    found = features.match_units(one, two, shuffle=None)
    part = found.sel(matching="bipartite")
    width = (part["r_high"] - part["r_low"]).values
    assert width[0] == pytest.approx(width[2], rel=1e-6)
    assert np.isnan(part["r"].values[:, 0]).sum() == 2


def test_silent_units_have_no_partner():
    a, b = random_pair()
    values = a.data.values.copy()
    values[:, 3] = 1.5
    found = features.match_units(labelled(values, "A"), b)
    table = features.unit_table(found)
    silent = table.iloc[3]
    assert silent["class"] == "silent"
    assert silent["partner"] == silent["one_to_one"] == ""
    assert np.isnan(silent["r"])
    assert not (table["partner"] == "unit03").any()


def test_positions_of_an_image_stay_together():
    rng = np.random.default_rng(9)
    images, places = 40, 9
    shown = rng.standard_normal((images, 1, 3)) + 0.1 * rng.standard_normal((images, places, 3))
    flat = cv.Assembly.from_array(
        shown.transpose(0, 2, 1).reshape(images, -1),
        stimuli=[f"i{i:02d}" for i in range(images)],
        channel=("unit", np.repeat(np.arange(3), places)),
        row=("unit", np.tile(np.repeat(np.arange(3), 3), 3)),
        column=("unit", np.tile(np.arange(3), 9)),
    )
    one = cv.by_position(flat)
    alone = labelled(rng.standard_normal((images, 3)).repeat(places, 0), stimuli=one.stimuli)
    found = features.match_units(one, alone)
    # a unit that only tells images apart has no counterpart, however many positions there are
    assert (features.unit_table(found)["class"] == "unique").mean() > 0.7
    chance = float(found["r_shuffled"].std())
    assert chance > 2 / (images * places) ** 0.5  # wider than of so many stimuli


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "cosine"}, "no measure of similarity 'cosine'"),
        ({"folds": 5}, "folds is 5"),
        ({"bootstrap": 100}, "bootstrap is 100"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(cv.InputError, match=message):
        features.match_units(*random_pair(), **options)


def test_bad_populations_are_refused():
    a, b = random_pair()
    with pytest.raises(cv.InputError, match="all 12 units of the source 'A' respond alike"):
        features.match_units(labelled(np.ones((200, 12)), "A"), b)
    holes = b.data.values.copy()
    holes[3, 2] = np.nan
    with pytest.raises(cv.InputError, match="target 'B' has NaN in 1 of 9 units"):
        features.match_units(a, labelled(holes, "B"))
    with pytest.raises(cv.InputError, match="resample stimuli alone"):
        features.match_units(a, b, bootstrap=cv.Bootstrap(20, over=("units",)))
    with pytest.raises(cv.InputError, match="give one Assembly on either side"):
        features.match_units({"layer": a}, b)
    bare = features.match_units(a, b, shuffle=None)
    with pytest.raises(cv.InputError, match=r"chance and intervals.*lack p"):
        features.unit_table(bare)
    whole = features.match_units(a, b)
    with pytest.raises(cv.InputError, match=r"alpha=1\.5"):
        features.unit_table(whole, alpha=1.5)
    with pytest.raises(cv.InputError, match="give matches of the same populations"):
        features.agreement(whole, features.match_units(a, a))


def test_fewer_stimuli_than_units():
    rng = np.random.default_rng(10)
    x = rng.standard_normal((30, 80))
    y = x[:, ::-1] + 0.2 * rng.standard_normal((30, 80))
    found = features.match_units(labelled(x), labelled(y))
    right = found["partner"].sel(matching="bipartite").values[:80] == [
        f"unit{79 - i:02d}" for i in range(80)
    ]
    assert right.all()
    assert float(found["r"].mean()) > 0.9


# correlations


def test_correlations_are_numpys_and_partners_stand_on_the_diagonal():
    a, b = random_pair()
    found = features.correlations(a, b)
    r = np.corrcoef(a.data.values.T, b.data.values.T)
    np.testing.assert_allclose(found["within_source"], r[:12, :12], atol=1e-12)
    np.testing.assert_allclose(found["between"], r[:12, 12:], atol=1e-12)
    np.testing.assert_allclose(found["within_target"], r[12:, 12:], atol=1e-12)
    np.testing.assert_allclose(found["source_mean"], a.data.mean("stimulus"), atol=1e-12)
    np.testing.assert_allclose(found["target_sd"], b.data.std("stimulus"), atol=1e-12)
    orders = [np.argsort(found[f"{side}_place"].values) for side in ("source", "target")]
    diagonal = np.diagonal(r[:12, 12:][np.ix_(*orders)])
    assert (np.diff(diagonal) <= 0).all()
    assert diagonal.sum() == pytest.approx(r[:12, 12:][linear_sum_assignment(-r[:12, 12:])].sum())


REGIMES = {
    "gaussian": lambda z: z,
    "rectified": lambda z: np.maximum(z, 0),
    "sparse": lambda z: np.maximum(z - 1, 0),
    "2 of 100": lambda z: np.maximum(z - 2.05, 0),
    "2 of 100, on a weak background": lambda z: np.where(z > 2.05, 10 + z, 0.001 * z),
    "heavy-tailed": lambda z: z**3,
}


@pytest.mark.parametrize("regime", REGIMES)
def test_independent_units_are_shared_at_the_rate_that_is_set(regime):
    tables = []
    for seed in range(4):
        x, y = (
            REGIMES[regime](z) for z in np.random.default_rng(seed).standard_normal((2, 100, 40))
        )
        few = cv.Bootstrap(100)
        tables.append(
            features.unit_table(features.match_units(labelled(x), labelled(y), bootstrap=few))
        )
    table = pd.concat(tables)
    assert not (table["class"] == "shared").any()
    assert not (table["r_low"] > 0.6).any()
    found = (table["class"] == "partly shared").sum()
    assert found <= 0.05 * len(table) + 4 * (0.05 * len(table)) ** 0.5
    few = table["class"] == "few responses"
    assert few.mean() > 0.8 if regime == "2 of 100" else few.mean() < 0.15
    assert table.loc[few, ["p", "r_low", "r_high"]].isna().all(axis=None)
    assert (table.loc[few, "n_effective"] < 5).all()


def test_the_effective_number_is_that_of_the_direct_formula():
    a, b = random_pair(n=60)
    found = features.match_units(a, b, shuffle=None, bootstrap=None)
    r = [a.data.values, b.data.values]
    expected = np.zeros(12)
    for train, test in KFold(5, shuffle=True, random_state=0).split(r[0]):
        partner = np.corrcoef(r[0][train].T, r[1][train].T)[:12, 12:].argmax(1)
        sides = []
        for values in (r[0][test], r[1][test][:, partner]):
            z = values - values.mean(0)
            sides.append((z**2).sum(0) ** 2 / (z**4).sum(0))
        expected += np.minimum(*sides)
    np.testing.assert_allclose(found["n_effective"].sel(matching="semi")[:12], expected)


def test_sparse_units_that_are_alike_are_shared_if_they_respond_often_enough():
    shared = np.maximum(np.random.default_rng(0).standard_normal((300, 20)) - 1, 0)
    noise = 0.1 * np.random.default_rng(1).random((2, 300, 20))
    a, b = (labelled(shared * (1 + one)) for one in noise)
    table = features.unit_table(features.match_units(a, b))
    assert (table["class"] == "shared").all()
    seldom = np.zeros((300, 20))
    chosen = np.random.default_rng(2).permutation(300)[:40]
    seldom[chosen, np.arange(40) % 20] = 1.0  # twice each
    table = features.unit_table(features.match_units(labelled(seldom), labelled(seldom)))
    summary = features.match_summary(features.match_units(labelled(seldom), labelled(seldom)))
    assert set(table["class"]) == {"few responses"}
    assert summary["few_responses"].tolist() == [1, 1]
