"""Partial soft matching, and whether a code is local: against cases with known answers."""

import numpy as np
import pytest
from cases import labelled
from scipy.optimize import linprog

import convergent as cv
from convergent import SoftMatching, features
from convergent.features._partial_matching import partial_plan


@pytest.mark.parametrize(("shape", "share"), [((4, 4), 0.5), ((3, 5), 0.7), ((5, 3), 1.0)])
def test_the_plan_is_the_best_of_a_linear_programme(shape, share):
    r = np.random.default_rng(0).uniform(-1, 1, shape)
    p, q = shape
    rows = np.kron(np.eye(p), np.ones(q))
    columns = np.kron(np.ones(p), np.eye(q))
    limits = np.concatenate([np.full(p, 1 / p), np.full(q, 1 / q)])
    best = linprog(
        -r.ravel(),
        A_ub=np.concatenate([rows, columns]),
        b_ub=limits,
        A_eq=np.ones((1, p * q)),
        b_eq=[share],
    )
    plan = partial_plan(r, share)
    assert (plan * r).sum() == pytest.approx(-best.fun)
    assert plan.sum() == pytest.approx(share)
    assert (plan.sum(1) <= 1 / p + 1e-9).all()


@pytest.fixture(scope="module")
def half_private():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 20))
    y = np.concatenate([x[:, :12], rng.standard_normal((400, 8))], 1)
    return labelled(x, "A"), labelled(y + 0.3 * rng.standard_normal(y.shape), "B")


def test_the_best_share_is_that_of_units_with_a_counterpart(half_private):
    found = features.partial_matching(*half_private)
    assert float(found["best_share"]) == pytest.approx(0.6)
    r = found["r"].mean("fold")
    assert float(r.sel(share=0.6)) == pytest.approx(1 / 1.09**0.5, abs=0.02)
    # at 1 it is soft matching, which the others drag down
    whole = cv.score(*half_private, SoftMatching(), ceiling=None)["similarity"].values.ravel()
    np.testing.assert_allclose(found["r"].sel(share=1.0), whole, atol=1e-9)
    matched = found["matched"].values
    counterparts = np.concatenate([np.arange(20) < 12] * 2)
    assert matched[counterparts].min() > matched[~counterparts].max()
    assert (found["mass"].sum("unit") == pytest.approx(40 * found["share"].values)).all()
    assert float(found["r_train"].mean()) > float(found["r"].mean())


def test_bad_shares_are_refused(half_private):
    for shares in ((0.0, 1.0), (0.5, 0.4), (0.5, 1.5), ()):
        with pytest.raises(cv.InputError, match=r"must be numbers above 0|from 0 to 1\.$"):
            features.partial_matching(*half_private, shares=shares)


def test_local_codes_differ_from_distributed_ones(half_private):
    a, b = half_private
    turned = cv.rotated(b, seed=2)
    found = features.local_or_distributed(
        {"as it is": a, "rotated": a}, {"B": b, "B rotated": turned}, rotations=19, progress=False
    )
    local, distributed = (found.sel(layer=name) for name in ("as it is", "rotated"))
    assert float(local["native"]) > float(local["rotated"]) + 0.2
    assert float(local["p"]) == pytest.approx(0.05)
    assert float(distributed["p"]) > 0.05
    np.testing.assert_allclose(found["effective_soft"], 1)  # equal counts: a permutation
    np.testing.assert_allclose(found["scale_soft"], 0)
    assert float(local["effective_sparse"]) < 1.5
    assert float(distributed["effective_sparse"]) > 5
    assert float(local["scale_sparse"]) < 0.2 < 0.5 < float(distributed["scale_sparse"])
    assert float(local["participation"]) == pytest.approx(0.6, abs=0.1)
    assert found["target_layer"].values.tolist() == ["B", "B rotated"]


def test_unequal_counts_share_partners():
    """Each of 4 target units has the mass of 3 of 12 source units."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 4))
    many = np.repeat(x, 3, axis=1) + 0.1 * rng.standard_normal((200, 12))
    found = features.local_or_distributed(labelled(many), labelled(x), rotations=1)
    np.testing.assert_allclose(found["effective_soft"], 3)
    np.testing.assert_allclose(found["scale_soft"], np.log(3) / np.log(12))


def test_unequal_numbers_of_layers_are_refused(half_private):
    a, b = half_private
    with pytest.raises(cv.InputError, match="2 source and 1 target layers"):
        features.local_or_distributed({"one": a, "two": a}, b)


def test_best_stimuli_are_the_largest_responses(half_private):
    a, _ = half_private
    found = features.best_stimuli(a, 5)
    for unit, column in enumerate(a.data.values.T):
        order = np.argsort(-column)[:5]
        assert found["stimulus"].values[unit].tolist() == a.stimuli[order].tolist()
        np.testing.assert_allclose(found["response"].values[unit], column[order])
    with pytest.raises(cv.InputError, match="give a whole number from 1 to 400"):
        features.best_stimuli(a, 401)


def test_stimuli_that_were_not_recorded_are_left_out():
    values = np.array([[1.0], [np.nan], [3.0]])
    found = features.best_stimuli(cv.Assembly.from_array(values, stimuli=list("abc")), 3)
    assert found["stimulus"].values.tolist() == [["c", "a", ""]]


def test_the_best_position_of_each_image_counts():
    values = np.zeros((3, 1, 2, 4))
    values[0, 0, 1, 3], values[0, 0, 0, 0], values[2, 0, 0, 1] = 9, 8, 5
    labels = np.indices((1, 2, 4)).reshape(3, -1)
    flat = cv.Assembly.from_array(
        values.reshape(3, -1),
        stimuli=list("abc"),
        **dict(zip(("channel", "row", "column"), (("unit", one) for one in labels), strict=True)),
    )
    found = features.best_stimuli(cv.by_position(flat), 2).isel(unit=0)
    assert found["stimulus"].values.tolist() == ["a", "c"]
    assert found["response"].values.tolist() == [9, 5]
    assert found["row"].values.tolist() == [0.75, 0.25]
    assert found["column"].values.tolist() == [0.875, 0.375]
