"""Trajectories: scores of checkpoints, and how much of them is there early."""

import numpy as np
import pytest

import convergent as cv

N, UNITS = 100, 12
NAMES = [f"{i:03d}.png" for i in range(N)]
METRICS = ["linear", "procrustes", "soft-matching"]
STEPS = (0.0, 0.5, 1.0, 2.0, 3.0)
GROWN = {0.0: 0.0, 0.5: 0.5, 1.0: 0.8, 2.0: 0.9, 3.0: 1.0}


def run(seed, layers=3):
    """Layers whose shared part grows with training, as much as GROWN says."""
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    kept = [
        (shared.standard_normal((N, UNITS)), own.standard_normal((N, UNITS))) for _ in range(layers)
    ]
    orders = [own.permutation(UNITS) for _ in range(layers)]
    return {
        step: {
            f"layer{k}": cv.Assembly.from_array(
                (GROWN[step] * common + 0.5 * alone)[:, orders[k]], stimuli=NAMES
            )
            for k, (common, alone) in enumerate(kept)
        }
        for step in STEPS
    }


@pytest.fixture(scope="module")
def runs():
    return {"a": run(1), "b": run(2)}


@pytest.fixture(scope="module")
def found(runs):
    return cv.trajectory(runs, METRICS, bootstrap=cv.Bootstrap(30, refits=4))


def test_it_holds_the_ordinary_scores(runs, found):
    for step in STEPS:
        for against, other in (("same step", step), ("final", STEPS[-1])):
            for k in range(3):
                pair = runs["a"][step][f"layer{k}"], runs["b"][other][f"layer{k}"]
                table = cv.summary(cv.score(*pair, METRICS, ceiling="self")).set_index("metric")
                cell = found.sel(step=step, against=against, layer=f"layer{k}").squeeze("pair")
                np.testing.assert_allclose(cell["r"], table.loc[METRICS, "r"], atol=1e-12)
                if against == "same step":
                    ceiling = cell["ceiling"].sel(run="b")
                    np.testing.assert_allclose(ceiling, table.loc[METRICS, "ceiling"], atol=1e-9)


def test_a_run_against_itself_gives_the_ceiling(runs):
    found = cv.trajectory(runs, METRICS, pairs=[("a", "a")], bootstrap=None)
    same = found["r"].sel(pair="a > a", against="same step")
    np.testing.assert_allclose(same, found["ceiling"].sel(run="a"), atol=1e-12)
    np.testing.assert_allclose(found["ceiling"].sel(metric="soft-matching"), 1, atol=1e-9)


def test_the_share_is_that_of_the_growth(found):
    r = found["r"].values
    share = (r[..., 2, :] - r[..., 0, :]) / (r[..., -1, :] - r[..., 0, :])
    np.testing.assert_allclose(found["share"], share)
    mean = r.mean(-1)
    overall = (mean[..., 2] - mean[..., 0]) / (mean[..., -1] - mean[..., 0])
    np.testing.assert_allclose(found["share_overall"], overall)
    assert (found["share_overall_low"] < overall).all()
    assert (found["share_overall_high"] > overall).all()


def test_the_share_of_a_known_growth_lies_in_its_interval(found):
    # same step: r of two noisy copies is g^2 / (g^2 + 0.25), with g the shared part
    expected = {step: g**2 / (g**2 + 0.25) for step, g in GROWN.items()}
    true = expected[1.0] / expected[3.0]
    part = found.sel(metric="soft-matching", against="same step").squeeze("pair")
    assert float(part["share_overall_low"]) < true < float(part["share_overall_high"])
    np.testing.assert_allclose(part["r"].mean("layer"), list(expected.values()), atol=0.08)


def test_no_growth_has_no_share():
    flat = run(1)
    still = dict.fromkeys(STEPS, flat[1.0])
    found = cv.trajectory({"a": still, "b": still}, "procrustes", bootstrap=None)
    assert np.isnan(found["share"]).all()
    bootstrap = cv.Bootstrap(5, refits=2)
    with pytest.warns(UserWarning, match="which the growth of r is not .*above 0") as said:
        found = cv.trajectory({"a": still, "b": still}, "procrustes", bootstrap=bootstrap)
    assert len(said) == 2  # of layers, and overall
    assert "'share' is NaN in 6 of 6 cases" in str(said[0].message)
    assert all(np.isnan(found[name]).all() for name in found if "share" in str(name))
    assert {"share_low", "share_overall_high"} <= set(found)


def test_growth_within_its_error_has_no_share():
    rng = np.random.default_rng(0)
    steps = {0.0: 0.0, 1.0: 0.15, 2.0: 0.2}  # as r in the end, about .04
    common, runs = rng.standard_normal((60, 4)), {}
    for name in ("a", "b"):
        own = rng.standard_normal((60, 4))
        runs[name] = {
            step: {"layer": cv.Assembly.from_array(g * common + own, stimuli=NAMES[:60])}
            for step, g in steps.items()
        }
    settings = {"metrics": "procrustes", "ceiling": None, "bootstrap": cv.Bootstrap(40, refits=4)}
    with pytest.warns(UserWarning, match="growth of r is not significantly above 0"):
        found = cv.trajectory(runs, **settings)
    assert np.isnan(found["share_overall"]).any()
    assert np.isfinite(found["r_low"]).all()


@pytest.mark.parametrize("early", [0.0, 3.0])
def test_the_first_and_last_step_have_no_share(runs, early):
    accuracy = {"a": dict.fromkeys(STEPS, 0.1) | {3.0: 0.9}}
    found = cv.trajectory(runs, "procrustes", early=early, ceiling=None, accuracy=accuracy)
    assert np.isnan(found["share"]).all()
    assert np.isnan(found["accuracy_share"]).all()


def test_accuracy_that_does_not_grow_has_no_share(runs):
    found = cv.trajectory(
        runs,
        "procrustes",
        ceiling=None,
        accuracy={"a": dict.fromkeys(STEPS, 0.1), "b": {step: step / 3 for step in STEPS}},
    )
    np.testing.assert_allclose(found["accuracy_share"], [np.nan, 1 / 3])


def test_controls_and_accuracy_are_in_the_result(runs):
    controls = {"shuffled": cv.shuffled(runs), "rotated": cv.rotated(runs)}
    correct = {"a": dict(zip(STEPS, (0.1, 0.2, 0.5, 0.8, 0.9), strict=True))}
    found = cv.trajectory(runs, METRICS, controls=controls, accuracy=correct, bootstrap=None)
    for name, substitute in controls.items():
        alone = cv.trajectory({"a": substitute["a"], "b": runs["b"]}, METRICS, bootstrap=None)
        np.testing.assert_array_equal(found["r_chance"].sel(chance=name), alone["r"])
    assert np.abs(found["r_chance"].sel(chance="shuffled", metric="procrustes")).max() < 0.3
    np.testing.assert_allclose(found["accuracy_share"], 0.5)
    assert found["accuracy"].sel(network="a", step=2.0) == 0.8


def test_an_interrupted_run_continues(runs, found, tmp_path, pairs_done):
    pairs_done.most = 21  # of three metrics each: a ceiling is kept whole
    arguments = {"bootstrap": cv.Bootstrap(30, refits=4), "study": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        cv.trajectory(runs, METRICS, **arguments)
    pairs_done.count, pairs_done.most = 0, np.inf
    resumed = cv.trajectory(runs, METRICS, **arguments)
    steps = len(STEPS)
    # per layer: ceilings, the same step, and the end but for the last step, which is both
    assert pairs_done.count == 3 * 3 * (steps + steps + steps - 1) - 21
    for name in found.data_vars:
        np.testing.assert_allclose(resumed[name], found[name], atol=1e-12)


@pytest.mark.parametrize("given", [{0.0: {}, 1.0: {}}, {"a": {"0": {}, "1": {}}}, {"a": 3}])
def test_what_is_not_nested_is_refused(given):
    with pytest.raises(cv.InputError, match=r"is not layers by step|has the key 0\.0, of"):
        cv.trajectory(given)


def without(runs, change):
    changed = {name: dict(of_step) for name, of_step in runs.items()}
    change(changed)
    return changed


def nothing(_runs):
    pass


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        ({}, lambda runs: runs["b"].pop(0.5), "the trainings have different steps .b lacks '0.5'."),
        ({"early": 0.7}, nothing, "early=0.7 is none of the steps 0, 0.5, 1, 2, 3"),
        ({}, lambda runs: runs.pop("b"), "pairs .* name no run"),
        ({"pairs": [("a", "c")]}, nothing, "name 'c'"),
        (
            {},
            lambda runs: runs["b"].update({0.5: {"layer0": runs["b"][0.5]["layer0"]}}),
            "different numbers of layers",
        ),
        ({"accuracy": {"a": {0.0: 0.1}}}, nothing, "accuracy of 'a' lacks the steps '0.5'"),
        ({"controls": {"none": {}}}, nothing, "control 'none' has other steps or layers"),
        ({"bootstrap": cv.Bootstrap(5, "units")}, nothing, "only 'stimuli' are drawn"),
    ],
)
def test_bad_input_is_refused(runs, arguments, change, message):
    with pytest.raises(cv.InputError, match=message):
        cv.trajectory(without(runs, change), "procrustes", **arguments)
