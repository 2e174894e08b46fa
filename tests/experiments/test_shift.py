import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

import convergent as cv
from convergent.experiments.shift import shift

N, UNITS, LAYERS = 100, 15, 4
NAMES = [f"{i:03d}.png" for i in range(N)]
METRICS = ["linear", "procrustes", "soft-matching"]


def layers(seed, noise):
    """Layers that are alike in all seeds; noise grows with depth."""
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    lost = np.random.default_rng([2, seed])
    found = {}
    for k in range(LAYERS):
        values = shared.standard_normal((N, UNITS)) + 0.5 * own.standard_normal((N, UNITS))
        values = values[:, own.permutation(UNITS)]
        values = values + noise * k * lost.standard_normal((N, UNITS))
        found[f"layer{k}"] = cv.Assembly.from_array(values, stimuli=NAMES, name=f"layer{k}")
    return found


@pytest.fixture(scope="module")
def sides():
    return [{x: layers(seed, x) for x in (0, 0.2, 0.8)} for seed in (1, 2)]


@pytest.fixture(scope="module")
def found(sides):
    return shift(*sides, METRICS, bootstrap=cv.Bootstrap(15, refits=4))


def pearson(a, b):
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


def directly(metric, x, y, x_test, y_test):
    """Unit scores by scikit-learn and scipy, of a map from x to y on other stimuli."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    if metric == "linear":
        power = ((x - mean_x) ** 2).sum(1).mean()
        return pearson(Ridge(alpha=0.1 * power).fit(x, y).predict(x_test), y_test)
    if metric == "procrustes":
        turned, _ = orthogonal_procrustes(x - mean_x, y - mean_y)
        return pearson((x_test - mean_x) @ turned, y_test)
    c = np.corrcoef(x.T, y.T)[:UNITS, UNITS:]
    partner = np.argsort(linear_sum_assignment(c, maximize=True)[1])
    return pearson(x_test[:, partner], y_test)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_maps_fitted_directly(metric, sides):
    chosen = cv.Linear((0.1,)) if metric == "linear" else metric
    found = shift(*sides, chosen, bootstrap=None).isel(metric=0)
    every = list(KFold(5, shuffle=True, random_state=0).split(NAMES))
    for k in range(LAYERS):
        x, y, far_x, far_y = (
            side[one][f"layer{k}"].data.values for one in (0, 0.8) for side in sides
        )
        arrays_of = {
            "transferred": lambda a, b, x=x, y=y, u=far_x, v=far_y: (x[a], y[a], u[b], v[b]),
            "refitted": lambda a, b, u=far_x, v=far_y: (u[a], v[a], u[b], v[b]),
        }
        for name, arrays in arrays_of.items():
            units = np.mean([directly(metric, *arrays(a, b)) for a, b in every], axis=0)
            cell = found["r"].sel(map=name, level="0.8", layer=f"layer{k}")
            assert float(cell) == pytest.approx(np.median(units), abs=1e-9)


def test_stimuli_as_they_are_give_the_ordinary_score(sides):
    same = [{"control": side[0], "again": side[0]} for side in sides]
    found = shift(*same, METRICS, bootstrap=cv.Bootstrap(5, refits=2))
    for name in ("transferred", "refitted"):
        apart = found["r"].sel(map=name, level="again") - found["r_control"]
        assert np.abs(apart).max() < 1e-9
    assert np.abs(found["drop"]).max() < 1e-9
    scores = cv.score(sides[0][0], sides[1][0], METRICS, ceiling=None, units=False)
    for k in range(LAYERS):
        cell = {"source": f"layer{k}", "target": f"layer{k}"}
        expected = scores["r"].sel(cell)
        np.testing.assert_allclose(found["r_control"].sel(layer=f"layer{k}"), expected, atol=1e-9)


def test_what_is_known_to_happen_is_found(found):
    # no noise in the first layer, most in the last
    first = found.isel(layer=0)
    assert np.abs(first["drop"]).max() < 1e-9
    for metric in METRICS:
        for name in ("transferred", "refitted"):
            drop = found["drop"].sel(metric=metric, map=name, level="0.8").values
            assert (np.diff(drop) > 0).all()
            slope = found.sel(metric=metric, map=name, level="0.8")
            assert 0 < slope["slope_low"] < slope["slope"] < slope["slope_high"]
            expected = np.polyfit(found["depth"], drop, 1)[0]
            assert float(slope["slope"]) == pytest.approx(expected)
    assert (found["drop"].sel(level="0.8") >= found["drop"].sel(level="0.2") - 1e-9).all()
    assert (found["r_low"] <= found["r"] + 1e-9).all()
    assert (found["r_high"] >= found["r"] - 1e-9).all()


def test_a_new_map_is_found_where_the_old_one_is_lost():
    # all units change places: the old map is wrong, and a new one as good as the old
    near = [layers(seed, 0) for seed in (1, 2)]
    order = np.random.default_rng(0).permutation(UNITS)
    far = [
        near[0],
        {
            name: cv.Assembly(a.data.copy(data=a.data.values[:, order]))
            for name, a in near[1].items()
        },
    ]
    found = shift(*({0: a, 1: b} for a, b in zip(near, far, strict=True)), METRICS, bootstrap=None)
    assert (found["drop"].sel(map="transferred") > 0.7).all()
    assert np.abs(found["drop"].sel(map="refitted")).max() < 1e-6


def test_there_is_no_drop_of_a_score_that_is_not_above_its_error():
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        side = {"layer0": layers(len(sides), 0)["layer0"]}
        side["layer1"] = cv.Assembly.from_array(rng.standard_normal((N, UNITS)), stimuli=NAMES)
        sides.append({"none": side, "again": side})
    with pytest.warns(UserWarning, match="'drop' is NaN in 2 of 4.*undistorted stimuli is not"):
        found = shift(*sides, "procrustes", bootstrap=cv.Bootstrap(20, refits=5))
    for name in ("drop", "drop_low", "drop_high"):
        assert np.isnan(found[name].sel(layer="layer1")).all()
    np.testing.assert_allclose(found["drop_high"].sel(layer="layer0"), 0, atol=1e-9)
    assert np.isnan(found["slope"]).all()  # of a line through one point
    assert np.isnan(found["slope_low"]).all()


def test_one_layer_has_no_slope(sides):
    one = [{x: {"layer0": each["layer0"]} for x, each in side.items()} for side in sides]
    found = shift(*one, "procrustes", bootstrap=cv.Bootstrap(4, refits=2))
    for name in ("slope", "slope_low", "slope_high"):
        assert np.isnan(found[name]).all()
    assert np.isfinite(found["drop_low"]).all()


def test_units_that_fall_silent_are_counted(sides):
    far = {name: a.data.copy() for name, a in sides[1][0].items()}
    far["layer1"][:, :3] = 0.5
    changed = {0: sides[1][0], 1: {name: cv.Assembly(data) for name, data in far.items()}}
    found = shift({0: sides[0][0], 1: sides[0][0]}, changed, "linear", bootstrap=None)
    assert found["silent"].values.tolist() == [[0, 3, 0, 0]]
    assert np.isfinite(found["r"]).all()


def test_stimuli_are_matched_by_name(sides, found):
    mixed = [
        {
            one: {
                name: cv.Assembly(
                    a.data.isel(stimulus=np.random.default_rng([i, k]).permutation(N))
                )
                for name, a in several.items()
            }
            for k, (one, several) in enumerate(side.items())
        }
        for i, side in enumerate(sides)
    ]
    again = shift(*mixed, METRICS, bootstrap=cv.Bootstrap(15, refits=4))
    np.testing.assert_allclose(again["r"], found["r"], atol=1e-12)
    np.testing.assert_allclose(again["slope_low"], found["slope_low"], atol=1e-9)


def test_an_interrupted_run_continues(sides, found, tmp_path, pairs_done):
    pairs_done.most = 15
    arguments = {"metrics": METRICS, "bootstrap": cv.Bootstrap(15, refits=4), "study": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        shift(*sides, **arguments)
    pairs_done.count, pairs_done.most = 0, np.inf
    resumed = shift(*sides, **arguments)
    assert pairs_done.count == len(METRICS) * LAYERS * (1 + 2 * 2) - 15
    for name in found.data_vars:
        np.testing.assert_allclose(resumed[name], found[name], atol=1e-12)
    pairs_done.count = 0
    shift(*sides, **arguments)
    assert not pairs_done.count


def test_layers_on_disk_give_the_same(sides, found):
    lazy = [
        {
            one: {name: cv.Assembly(a.data.chunk(unit=4)) for name, a in several.items()}
            for one, several in side.items()
        }
        for side in sides
    ]
    again = shift(*lazy, METRICS, bootstrap=None)
    np.testing.assert_allclose(again["r"], found["r"], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a[0], b), "source at 'layer0' is .*: give a dict of what `extract` returns"),
        (lambda a, b: ({0: a[0]}, {0: b[0]}), "source has 1 levels"),
        (lambda a, b: (a, {0: b[0], 0.2: b[0]}), "source has levels .* and target"),
        (
            lambda a, b: (a, b | {0.8: {k: v for k, v in b[0.8].items() if k != "layer1"}}),
            "with the same layers at each",
        ),
        (
            lambda a, b: (
                a,
                {one: {k: v for k, v in each.items() if k != "layer1"} for one, each in b.items()},
            ),
            "source has 4 layers and target 3",
        ),
        (
            lambda a, b: (
                a,
                b
                | {
                    0.2: {
                        k: cv.Assembly(v.data.isel(stimulus=slice(2, None)))
                        for k, v in b[0.2].items()
                    }
                },
            ),
            "'layer0' at 0.2 has 98 stimuli, and others have 100: '000.png'",
        ),
    ],
)
def test_bad_input_is_refused(sides, change, message):
    with pytest.raises(cv.InputError, match=message):
        shift(*change(*sides), "linear")


def test_only_stimuli_are_drawn(sides):
    with pytest.raises(cv.InputError, match="only 'stimuli' are drawn"):
        shift(*sides, "linear", bootstrap=cv.Bootstrap(5, over="units"))


def test_scores_of_controls_are_those_of_the_populations_in_place(sides):
    source, target = sides
    controls = {"shuffled": cv.shuffled(source), "rotated": cv.rotated(source)}
    found = shift(source, target, METRICS, controls=controls)
    for name, substitute in controls.items():
        alone = shift(substitute, target, METRICS)
        np.testing.assert_array_equal(found["r_chance"].sel(chance=name), alone["r"])
        np.testing.assert_array_equal(
            found["r_chance_control"].sel(chance=name), alone["r_control"]
        )
    assert np.abs(found["r_chance"].sel(chance="shuffled").sel(metric="procrustes")).max() < 0.25
    turned = found["r_chance_control"].sel(chance="rotated")
    for metric in ("linear", "procrustes"):  # these ignore rotation, transferred maps too
        np.testing.assert_allclose(turned.sel(metric=metric), found["r_control"].sel(metric=metric))
        np.testing.assert_allclose(
            found["r_chance"].sel(chance="rotated", metric=metric), found["r"].sel(metric=metric)
        )
    assert (
        turned.sel(metric="soft-matching") < found["r_control"].sel(metric="soft-matching")
    ).all()


def test_accuracy_stands_beside(sides):
    correct = {"one": {0: 0.8, 0.2: 0.6, 0.8: 0.2}, "other": {0: 0.5, 0.2: 0.5, 0.8: 0.25}}
    found = shift(*sides, "procrustes", accuracy=correct)
    np.testing.assert_allclose(found["accuracy_control"], [0.8, 0.5])
    np.testing.assert_allclose(found["accuracy_drop"].sel(network="one"), [0.25, 0.75])
    np.testing.assert_allclose(found["accuracy_drop"].sel(network="other"), [0, 0.5])
    del correct["one"][0.2]
    with pytest.raises(cv.InputError, match=r"accuracy of 'one' lacks the levels '0\.2'"):
        shift(*sides, "procrustes", accuracy=correct)


def test_controls_have_the_levels_of_the_source(sides):
    part = {x: dict(list(a.items())[::-1]) for x, a in sides[0].items()}
    with pytest.raises(cv.InputError, match="control 'untrained' has other levels or layers"):
        shift(*sides, "linear", controls={"untrained": part})


def test_units_are_matched_by_name(sides):
    found = shift(*sides, METRICS, bootstrap=None)
    order = np.random.default_rng(4).permutation(UNITS)
    mixed = dict(sides[1])
    mixed[0.8] = {k: cv.Assembly(a.data.isel(unit=order)) for k, a in sides[1][0.8].items()}
    np.testing.assert_allclose(shift(sides[0], mixed, METRICS)["r"], found["r"], atol=1e-12)
    mixed[0.8] = {k: cv.Assembly(a.data.isel(unit=slice(3, None))) for k, a in mixed[0.8].items()}
    with pytest.raises(cv.InputError, match="has 12 units, and the control 15"):
        shift(sides[0], mixed, METRICS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 5}, "folds is 5: give Folds"),
        ({"bootstrap": 200}, "bootstrap is 200: give Bootstrap"),
    ],
)
def test_other_values_than_folds_and_resamples_are_refused(sides, arguments, message):
    steps = {"a": {0: sides[0][0], 1: sides[0][0.2]}}
    for experiment in (
        lambda: shift(*sides, **arguments),
        lambda: cv.hierarchy(sides[0][0], sides[1][0], **arguments),
        lambda: cv.trajectory(steps, pairs=[("a", "a")], **arguments),
    ):
        with pytest.raises(cv.InputError, match=message):
            experiment()
