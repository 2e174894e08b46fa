"""Planted structure is found: who is shared one-to-one, in pairs, in blocks, and who is private."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import convergent as cv
from convergent import features


@pytest.fixture(scope="module")
def planted():
    return cv.simulate.convergent_pair(1500, 160, private=40, noise=0.3, seed=3)


def truth(planted):
    kind, group = ({}, {})
    for side, assembly in zip(("source", "target"), planted, strict=True):
        for unit, one, other in zip(
            assembly.units,
            assembly.data["kind"].values,
            assembly.data["group"].values,
            strict=True,
        ):
            kind[side, unit], group[side, unit] = one, other
    return kind, group


@pytest.fixture(scope="module")
def matches(planted):
    return features.match_units(*planted)


def test_the_simulation_is_what_it_says(planted):
    a, b = planted
    assert not np.array_equal(a.data["group"].values, b.data["group"].values)  # in another order
    for assembly in planted:
        kinds, counts = np.unique(assembly.data["kind"].values, return_counts=True)
        assert dict(zip(kinds, counts, strict=True)) == {
            "block": 48,
            "one-to-one": 64,
            "pair": 48,
            "private": 40,
        }
        np.testing.assert_allclose(assembly.data.std("stimulus"), 1.09**0.5, rtol=0.1)
    order = [np.argsort(one.data["group"].values, kind="stable") for one in planted]
    r = np.corrcoef(a.data.values[:, order[0]].T, b.data.values[:, order[1]].T)[:200, 200:]
    kinds = a.data["kind"].values[order[0]]
    one = r[kinds == "one-to-one"][:, kinds == "one-to-one"]
    np.testing.assert_allclose(np.diagonal(one), 1 / 1.09, atol=0.03)
    pairs = np.abs(r[kinds == "pair"].max(1))
    np.testing.assert_allclose(pairs, 0.5**0.5 / 1.09, atol=0.1)
    assert np.abs(r[kinds == "private"]).max() < 0.15


def test_matching_finds_units_that_are_the_same(planted, matches):
    kind, group = truth(planted)
    table = features.unit_table(matches)
    pairs = table[(table["side"] == "source") & (table["class"] == "shared")]
    right = [
        group["source", unit] == group["target", partner] and kind["source", unit] == "one-to-one"
        for unit, partner in zip(pairs["unit"], pairs["one_to_one"], strict=True)
    ]
    assert np.mean(right) >= 0.95  # precision
    assert np.sum(right) >= 0.95 * 64  # recall


def test_private_units_are_called_unique_at_the_rate_that_is_set():
    """Of 400 private units, 5% and 20% are not; within what chance allows."""
    for alpha in (0.05, 0.2):
        missed = n = 0
        for seed in range(3):
            pair = cv.simulate.convergent_pair(400, 40, private=67, block=4, seed=seed)
            kind, _ = truth(pair)
            table = features.unit_table(features.match_units(*pair), alpha=alpha)
            private = [
                kind[key] == "private" for key in zip(table["side"], table["unit"], strict=True)
            ]
            missed += int((table["class"][private] != "unique").sum())
            n += sum(private)
        assert abs(missed - alpha * n) < 3.3 * (n * alpha * (1 - alpha)) ** 0.5


def test_sparse_prediction_finds_the_pairs(planted):
    a, b = planted
    few = b.data["kind"].values != "private"
    some = cv.Assembly(b.data.isel(unit=np.flatnonzero(few)[::3]))
    found = features.sparse_prediction(a, some)
    chosen = found["selected"].values > 0.5
    same = a.data["group"].values[:, None] == some.data["group"].values
    exact = (chosen == same).all(0)
    for kind in ("one-to-one", "pair"):
        assert exact[some.data["kind"].values == kind].mean() >= 0.9
    table = features.sparse_table(found)
    for kind, n in (("one-to-one", 1), ("pair", 2), ("block", 8)):
        rows = table[some.data["kind"].values == kind]
        assert rows["n_large"].median() == pytest.approx(n, abs=0.25 * n)
        assert rows["by_few"].median() > 0.97
    assert table["by_one"][some.data["kind"].values == "pair"].median() == pytest.approx(
        0.5, abs=0.06
    )


def test_clusters_are_the_pairs_and_blocks(planted):
    found = features.clusters(*planted, halves=2, rotations=2)
    group = np.concatenate([one.data["group"].values for one in planted])
    kind = np.concatenate([one.data["kind"].values for one in planted])
    assert found.attrs["k"] == 64 + 24 + 6
    for labels in (found["label"].values, found["branch"].values):
        for name in ("block", "pair"):
            assert adjusted_rand_score(group[kind == name], labels[kind == name]) >= 0.9
    private = found["label"].values[kind == "private"]
    assert (private == -1).mean() > 0.9
    blocks = features.cluster_table(found).iloc[:6]
    assert (blocks[["n_source", "n_target"]] >= 8).all(axis=None)
    assert (blocks["balance"] > 0.8).all()
    # the blocks span the same, with other axes, which random ones match as well
    assert (blocks["canonical"] > 0.85).all()
    assert (blocks["canonical"] - blocks["matched"] > 0.2).all()
    assert blocks["predicted"].median() == pytest.approx(1 / 1.09, abs=0.02)  # noise is left
    assert (blocks["matched"] - blocks["matched_rotated"]).abs().max() < 0.15
    assert blocks["dimension_source"].between(7, 9).all()
    assert float(found["stability"].min()) > 0.85
    assert float(found["contrast"].min()) > float(found["contrast_rotated"].max()) + 0.1


@pytest.mark.slow
def test_claims_say_what_was_planted():
    mixed = features.overview(
        *cv.simulate.convergent_pair(600, 80, private=20, seed=1), rotations=5
    )
    assert mixed.claims["verdict"].tolist() == ["holds"] * 3
    same = cv.simulate.convergent_pair(600, 40, shares=(1, 0, 0), private=0, seed=2)
    verdicts = features.overview(*same, rotations=5).claims["verdict"].tolist()
    assert verdicts[:2] == ["holds partly", "holds partly"]  # all shared; one subspace, one axis
    a, b = same
    turned = cv.rotated(b, seed=3)
    verdicts = features.overview(a, turned, rotations=5).claims["verdict"].tolist()
    assert verdicts[0] == "does not hold here"  # none shared
    assert verdicts[2] != "holds"  # distributed over all
