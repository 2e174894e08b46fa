"""What decides no number: the order of units and of stimuli, ties included, and the scale."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import image_names

import convergent as cv
from convergent import features
from convergent.metrics.distances import DISTANCES
from convergent.metrics.references import REFERENCES

N = 40
METRICS = {
    "procrustes": cv.Procrustes(),
    "soft": cv.SoftMatching(),
}
DRAWN = {"bootstrap": cv.Bootstrap(3), "shuffle": cv.Shuffle(2), "folds": cv.Folds(3)}


def tied():
    """Populations of small whole numbers, half of the units copies; the last has repeats."""
    rng = np.random.default_rng(0)
    several = [rng.integers(0, 2, (N, size)) * 1.0 for size in (6, 6, 6, 4)]
    for values in several:
        half = values.shape[1] // 2
        values[:, half:] = values[:, :half]
    several[3][:, 1] = several[0][:, 0]
    return [*several, several[3][..., None] + rng.integers(0, 2, (N, 4, 3))]


def varied():
    """Populations that share signals; with repeats last."""
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((N, 4))
    several = [
        shared @ rng.standard_normal((4, size)) + 0.5 * rng.standard_normal((N, size))
        for size in (6, 6, 6, 4)
    ]
    return [*several, several[3][..., None] + rng.standard_normal((N, 4, 3))]


def assembly(values, rng=None, name=None):
    """Named by content; in any order if a generator is given."""
    made = cv.Assembly.from_array(
        values,
        dims=("stimulus", "unit", "repeat")[: values.ndim],
        stimuli=image_names(N),
        units=[f"unit{i}" for i in range(values.shape[1])],
        name=name,
    )
    if rng is None:
        return made
    data = made.data.isel(unit=rng.permutation(values.shape[1]))
    return cv.Assembly(data.isel(stimulus=rng.permutation(N)))


SCORED = {"metrics": METRICS, "ceiling": None, "progress": False}
EXPERIMENT = {"metrics": METRICS, "bootstrap": None, "folds": cv.Folds(3), "progress": False}
FEW = {"folds": cv.Folds(3), "progress": False}

QUESTIONS = {
    "score": lambda of: cv.score({"a": of(0), "b": of(1)}, of(3), **SCORED, **DRAWN),
    "ceilings": lambda of: cv.score(of(0), of(4), "linear", ceiling="split-half", progress=False),
    "compare": lambda of: cv.compare({"a": of(0), "b": of(1)}, {"y": of(3)}, **FEW),
    "hierarchy": lambda of: cv.hierarchy(
        {"a": of(0), "b": of(1)}, {"c": of(2), "y": of(3)}, **EXPERIMENT
    ),
    "trajectory": lambda of: cv.trajectory(
        {
            "one": {0: {"a": of(0), "b": of(1)}, 1: {"a": of(2), "b": of(3)}},
            "two": {0: {"a": of(1), "b": of(2)}, 1: {"a": of(3), "b": of(0)}},
        },
        **EXPERIMENT,
    ),
    "shift": lambda of: cv.shift(
        {"plain": {"a": of(0), "b": of(1)}, "blurred": {"a": of(1), "b": of(0)}},
        {"plain": {"c": of(2), "y": of(3)}, "blurred": {"c": of(2), "y": of(3)}},
        **EXPERIMENT,
    ),
    "privileged axis": lambda of: cv.privileged_axis(of(0), of(3), rotations=2, **FEW),
    "rotated": lambda of: cv.score(cv.rotated(of(0)), of(3), **SCORED, folds=cv.Folds(3)),
    "matches": lambda of: features.match_units(of(0), of(3), **DRAWN, progress=False),
    "matches by information": lambda of: features.match_units(
        of(0), of(3), measure="mutual-information", **DRAWN, progress=False
    ),
    "units": lambda of: features.unit_table(
        features.match_units(of(0), of(3), **DRAWN, progress=False)
    ).sort_values(["side", "unit"]),
    "clusters": lambda of: features.clusters(of(0), of(3), floor=0.1, k=2, **FEW),
    "partial": lambda of: features.partial_matching(of(0), of(3), shares=(0.3, 1.0), **FEW),
    "sparse": lambda of: features.sparse_prediction(of(0), of(3), penalties=(1, 0.1), **FEW),
    "correlations": lambda of: features.correlations(of(0), of(3))[
        ["between", "source_place", "target_place"]
    ],
    "information": lambda of: features.mutual_information(of(0), of(3), progress=False),
    "information by neighbours": lambda of: features.mutual_information(
        of(0), of(3), estimator="nearest-neighbours", progress=False
    ),
    "local": lambda of: features.local_or_distributed(of(0), of(3), rotations=2, **FEW),
    "best stimuli": lambda of: features.best_stimuli(of(0), k=3),
    "distances": lambda of: pd.DataFrame([{k: f(of(0), of(1)) for k, f in DISTANCES.items()}]),
    "references": lambda of: pd.DataFrame([{k: f(of(0), of(1)) for k, f in REFERENCES.items()}]),
}


def answers(question, several, rng=None):
    """Numbers and names of a result, sorted by the names of units."""
    found = QUESTIONS[question](lambda number: assembly(several[number], rng))
    if isinstance(found, pd.DataFrame):
        return {str(name): found[name].to_numpy() for name in found}
    if isinstance(found, xr.DataArray):
        found = found.to_dataset(name="value")
    sides = found["side"].values if "side" in found.coords else None
    for dim in found.dims:
        if dim in found.coords and dim.endswith("unit"):
            keys = [found[dim].values.astype(str)]
            keys += [sides.astype(str)] if dim == "unit" and sides is not None else []
            found = found.isel({dim: np.lexsort(keys)})
    return {str(name): values.values for name, values in found.data_vars.items()}


def difference(one, other):
    """Greatest difference of numbers; names must be the same."""
    if one.dtype.kind not in "fiub":
        np.testing.assert_array_equal(one.astype(str), other.astype(str))
        return 0.0
    one, other = one.astype(float), other.astype(float)
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    return float(np.abs(one - other)[~np.isnan(one)].max(initial=0.0))


@pytest.mark.filterwarnings("ignore:no correlation", "ignore:the graph of correlations")
@pytest.mark.parametrize("question", QUESTIONS)
def test_order_decides_nothing_if_units_tie(question):
    several = tied()
    expected = answers(question, several)
    found = answers(question, several, np.random.default_rng(0))
    assert found.keys() == expected.keys()
    for name in expected:
        assert difference(found[name], expected[name]) <= 1e-12, name


CHANGES = {
    "1e-10": (lambda z: z * 1e-10),
    "+1e6": (lambda z: z + 1e6),
}
# whose scores are those of "score"
OF_ENGINE = {"hierarchy", "trajectory", "shift", "privileged axis", "compare", "local"}
# results in units of the responses, and those of measures that notice what is changed
OF_SCALE = {"response", "euclidean", "source_mean", "source_sd", "target_mean", "target_sd"}
OF_SHIFT = OF_SCALE | {"mutual-knn"}


@pytest.mark.filterwarnings("ignore:no correlation", "ignore:the graph of correlations")
@pytest.mark.parametrize("question", sorted(QUESTIONS.keys() - OF_ENGINE))
def test_scale_and_offset_decide_nothing(question):
    """Of whole populations; an offset of 1e6 costs six digits."""
    several = varied()
    expected = answers(question, several)
    for change, apply in CHANGES.items():
        found = answers(question, [apply(values) for values in several])
        allowed = 1e-5 if change == "+1e6" else 1e-8
        for name in expected.keys() - (OF_SHIFT if change == "+1e6" else OF_SCALE):
            assert difference(found[name], expected[name]) <= allowed, (name, change)


# which each unit may be changed in alone: metrics and questions that ignore the scale of units
UNIT_BY_UNIT = ("matches", "units", "partial", "correlations", "information", "sparse", "clusters")


@pytest.mark.filterwarnings("ignore:no correlation", "ignore:the graph of correlations")
@pytest.mark.parametrize("question", UNIT_BY_UNIT)
def test_scale_and_offset_of_single_units_decide_nothing(question):
    several = varied()
    expected = answers(question, several)
    changed = [values.copy() for values in several]
    for values in changed:
        values[:, 0] *= 1e-10
        values[:, 1] *= 1e10
        values[:, 2] += 1e6
    found = answers(question, changed)
    for name in expected.keys() - OF_SCALE:
        assert difference(found[name], expected[name]) <= 1e-6, name
