"""One engine: every question that scores gives one answer, whatever the order of units."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convergent as cv

N, UNITS = 30, 8
NAMES = [f"stimulus{i:02d}" for i in range(N)]
METRICS = list(cv.METRICS)
FOLDS = cv.Folds(3)


def labelled(values, units=None):
    units = [f"u{i}" for i in range(values.shape[1])] if units is None else units
    return cv.Assembly.from_array(values, stimuli=NAMES, units=units)


def tied(seed):
    """Binary responses: many correlations tie."""
    return np.random.default_rng(seed).integers(0, 2, (N, UNITS)).astype(float)


def reordered(assembly, order):
    return cv.Assembly(assembly.data.isel(unit=list(order)))


def of_score(source, target):
    return cv.score(source, target, METRICS, folds=FOLDS, ceiling=None, units=False)["r"].values


def of_hierarchy(source, target):
    found = cv.hierarchy(
        {"a": source, "b": source}, {"a": target, "b": target}, folds=FOLDS, ceiling=None
    )
    return found["r"].isel(source=0, target=0).values


def of_trajectory(source, target):
    runs = {
        name: {step: {"layer": side} for step in (0.0, 1.0)}
        for name, side in (("one", source), ("other", target))
    }
    found = cv.trajectory(runs, folds=FOLDS, ceiling=None)
    return found["r"].sel(against="same step", step=0.0).values


def of_shift(source, target):
    levels = ({level: {"layer": side} for level in ("whole", "other")} for side in (source, target))
    return cv.shift(*levels, folds=FOLDS)["r_control"].values


QUESTIONS = (of_score, of_hierarchy, of_trajectory, of_shift)


# a hierarchy of one layer twice
@pytest.mark.filterwarnings("ignore:'depth_correlation' is NaN")
@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(UNITS)), other=st.permutations(range(UNITS)))
def test_all_questions_give_one_answer_whatever_the_order_of_units(order, other):
    source, target = labelled(tied(1)), labelled(tied(2))
    expected = of_score(source, target).ravel()
    for question in QUESTIONS:
        found = question(reordered(source, order), reordered(target, other))
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore:'depth_correlation' is NaN")
@settings(max_examples=5, deadline=None)
@given(power=st.integers(-30, 30), offset=st.sampled_from([0.0, 1e3, -1e4]))
def test_scale_and_offset_of_a_unit_change_no_score(power, offset):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, UNITS))
    y = x @ rng.standard_normal((UNITS, UNITS)) + rng.standard_normal((N, UNITS))
    changed = y.copy()
    changed[:, 3] = changed[:, 3] * 2.0**power + offset * 2.0**power
    expected = of_score(labelled(x), labelled(y)).ravel()[[0, 2]]  # Procrustes weighs units
    for question in QUESTIONS:
        found = question(labelled(x), labelled(changed)).ravel()[[0, 2]]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def sides():
    rng = np.random.default_rng(0)
    one = {f"layer{k}": labelled(rng.standard_normal((N, UNITS))) for k in range(2)}
    other = {f"layer{k}": labelled(rng.standard_normal((N, UNITS))) for k in range(2)}
    return one, other


def made():
    """Results of all kinds of question, by kind."""
    one, other = sides()
    runs = {"a": {0.0: one, 1.0: other}, "b": {0.0: other, 1.0: one}}
    levels = {"whole": one, "blurred": other}
    return {
        "score": cv.score(one, other, "linear", folds=FOLDS, ceiling="self"),
        "hierarchy": cv.hierarchy(one, other, "linear", folds=FOLDS, controls={"shuffled": one}),
        "trajectory": cv.trajectory(runs, "linear", folds=FOLDS),
        "shift": cv.shift(levels, levels, "linear", folds=FOLDS),
        "compare": cv.compare(one, other, folds=FOLDS),
        "privileged_axis": cv.privileged_axis(one, other, rotations=2, folds=FOLDS),
    }


def test_every_result_says_how_it_was_made():
    one, _ = sides()
    sha256 = one["layer0"].fingerprint()
    for kind, result in made().items():
        content = json.loads(result.attrs["provenance"])
        assert content["kind"] == kind
        assert content["folds"] == {"n": 3, "seed": 0, "group": None, "order": None}
        assert content["device"] == "cpu"
        assert {"convergent", "numpy", "torch"} <= set(content["versions"])
        assert sha256 in result.attrs["provenance"]
        if kind != "compare":
            assert content["metrics"] if kind == "privileged_axis" else content["metrics"]["linear"]
    hierarchy = json.loads(made()["hierarchy"].attrs["provenance"])
    assert hierarchy["controls"]["shuffled"]["layer0"]["sha256"] == sha256


def test_variables_and_coordinates_say_what_they_are():
    for kind, result in made().items():
        if kind == "privileged_axis":
            continue
        lacking = [name for name in result.variables if "long_name" not in result[name].attrs]
        assert not lacking, kind


def test_settings_are_one_value_or_single_keywords():
    one, other = sides()
    protocol = cv.Protocol("linear", folds=FOLDS, ceiling="self")
    whole = cv.hierarchy(one, other, protocol=protocol, compute=cv.Compute(progress=False))
    single = cv.hierarchy(one, other, "linear", folds=FOLDS)
    assert whole.identical(single)
    assert protocol == cv.Protocol(["linear"], cv.Folds(3), "self")
    assert hash(protocol) == hash(cv.Protocol(["linear"], cv.Folds(3), "self"))
    assert protocol != cv.Protocol(["linear"], cv.Folds(4), "self")
    with pytest.raises(TypeError, match=r"unexpected keywords \['fold'\]: known are"):
        cv.hierarchy(one, other, fold=FOLDS)
    with pytest.raises(cv.InputError, match="protocol is 3: give Protocol"):
        cv.hierarchy(one, other, protocol=3)
    with pytest.raises(cv.InputError, match=r"shuffle=.* is not used by this function"):
        cv.trajectory({"a": {0.0: one, 1.0: other}}, shuffle=cv.Shuffle(3), pairs=[("a", "a")])


def test_the_former_name_of_controls_is_accepted():
    one, other = sides()
    controls = {"shuffled": cv.shuffled(one)}
    now, before = (
        cv.hierarchy(one, other, "linear", folds=FOLDS, **{name: controls})
        for name in ("controls", "chance")
    )
    assert now.identical(before)
    assert now["r_chance"].dims == ("chance", "metric", "source", "target")


def test_warnings_point_at_the_line_of_the_caller():
    values = np.random.default_rng(0).standard_normal((N, UNITS))
    target = values.copy()
    target[3, 2] = np.nan
    with pytest.warns(UserWarning, match="not recorded for all") as caught:
        cv.score(labelled(values), labelled(target), "linear", folds=FOLDS, ceiling=None)
    assert {warning.filename for warning in caught} == {__file__}
