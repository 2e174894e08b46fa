"""What metrics refuse: folds that do not belong together, and populations that cannot be."""

import numpy as np
import pytest

import convergent as cv

TRAIN, TEST = np.arange(40), np.arange(40, 60)
METRICS = {name: kind() for name, kind in cv.METRICS.items()}
METRICS["shifted"] = cv.CircularShifts("procrustes", (2, 2))


def population(n=60, units=5):
    return cv.Population(np.random.default_rng(0).standard_normal((n, units)))


@pytest.mark.parametrize("name", METRICS)
def test_both_sides_are_under_the_same_split(name):
    fold, metric = population().fold(TRAIN, TEST), METRICS[name]
    cases = [
        (population().fold(TRAIN[:-4], TEST), "40 train stimuli and the target 36"),
        (population().fold(TRAIN, TEST[4:]), "20 test stimuli and the target 16"),
        (population(80).fold(TRAIN, TEST), "source has 60 stimuli and the target 80"),
    ]
    for other, message in cases:
        with pytest.raises(cv.InputError, match=message):
            metric.fit(fold, other)


@pytest.mark.parametrize("name", METRICS)
def test_whole_populations_and_arrays_are_no_folds(name):
    fold, values = population().fold(TRAIN, TEST), np.ones((60, 3))
    for wrong, kind in ((values, "ndarray"), (cv.Population(values), "Population")):
        with pytest.raises(cv.InputError, match=rf"source is a {kind}: .*\.fold\(train, test\)"):
            METRICS[name].fit(wrong, fold)
        with pytest.raises(cv.InputError, match=rf"target is a {kind}: "):
            METRICS[name].fit(fold, wrong)


@pytest.mark.parametrize(
    "part", [[0, 1, 2], np.zeros(0, int), np.arange(5.0), np.array([-1, 3]), 4]
)
def test_folds_hold_positions_of_stimuli(part):
    for split in ((part, TEST), (TRAIN, part)):
        with pytest.raises(cv.InputError, match="whole numbers from 0 up"):
            population().fold(*split)


@pytest.mark.parametrize("name", METRICS)
def test_folds_hold_stimuli_that_are_there(name):
    fold, beyond = population().fold(TRAIN, TEST), population().fold(TRAIN, TEST + 1)
    for pair, side in (((beyond, fold), "source"), ((fold, beyond), "target")):
        with pytest.raises(cv.InputError, match=rf"of the {side} .*position 60, .* are 60"):
            METRICS[name].fit(*pair)


@pytest.mark.parametrize("penalties", ["12", None, ["a"], [[1.0, 2.0]]])
def test_penalties_are_numbers(penalties):
    with pytest.raises(cv.InputError, match="penalties"):
        cv.Linear(penalties)


@pytest.mark.parametrize("name", ["mean", None, ["pairwise"], 1])
def test_unit_scores_are_known_by_name(name):
    with pytest.raises(cv.InputError, match=r"there is no unit_score .*'pairwise'"):
        cv.SoftMatching(name)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(cv.InputError, match="torch cannot use the device 'abacus'"):
        cv.Population(np.ones((5, 2)), device="abacus")


def test_responses_whose_squares_overflow_are_refused():
    values = np.random.default_rng(0).standard_normal((60, 90)) * 1e200
    with np.errstate(over="ignore"), pytest.raises(cv.InputError, match="divide all responses"):
        cv.references.cka(values, values)
