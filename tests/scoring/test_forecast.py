import numpy as np
import pytest

import convergent as cv


def test_it_counts_pairs_and_grows_with_the_work():
    one = cv.forecast_sizes(200, [300], [100])
    many = cv.forecast_sizes(200, [300] * 6, [100] * 4)
    assert (one.pairs, many.pairs, many.folds) == (1, 24, 5)
    for metric in cv.METRICS:
        assert many.seconds[metric] == pytest.approx(24 * one.seconds[metric])
    # each population is factored once, whatever the number of its partners
    assert many.seconds["geometry"] < 7 * one.seconds["geometry"]
    assert many.memory > one.memory


def test_a_metric_that_is_not_asked_for_costs_nothing():
    found = cv.forecast_sizes(200, [300], [100], ["linear"])
    assert set(found.seconds) == {"geometry", "linear"}


def test_the_forecast_of_assemblies_is_that_of_their_sizes():
    rng = np.random.default_rng(0)
    a, b = (
        cv.Assembly.from_array(
            rng.standard_normal((40, k)), stimuli=[f"{i:02d}" for i in range(40)]
        )
        for k in (30, 50)
    )
    assert cv.forecast(a, b, folds=cv.Folds(4)) == cv.forecast_sizes(40, [30], [50], folds=4)


def test_it_says_all_in_a_line():
    text = str(cv.forecast_sizes(100, [30, 40], [20], ["procrustes"]))
    assert text.startswith("2 pairs in 5 folds: about ")
    assert "procrustes" in text
    assert "GB of memory" in text


@pytest.mark.parametrize("sizes", [(0, [3], [3]), (10, [], [3]), (10, [3], [0])])
def test_sizes_are_positive(sizes):
    with pytest.raises(cv.InputError, match=r"give a whole number from 1 up|is empty: give"):
        cv.forecast_sizes(*sizes)


def test_memory_does_not_grow_with_units_that_are_read_in_blocks():
    one, ten = (cv.forecast_sizes(10_000, [k * 10**6], [1000]).memory for k in (1, 10))
    assert ten == pytest.approx(one)
    # but each target's geometry is held in all folds
    few, many = (cv.forecast_sizes(10_000, [10**6], [q], "procrustes").memory for q in (100, 10**4))
    assert many - few > 4e9


def test_a_source_is_factored_no_more_often_than_there_are_targets():
    one, four = (
        cv.forecast_sizes(10_000, [10**6], [10**4] * k, "linear").seconds["geometry"]
        for k in (1, 4)
    )
    assert four < 4.5 * one


SIZES = (640, [100, 200], [90, 90, 90])


def test_it_counts_the_fits_of_all_that_is_asked_for():
    pairs, of_metrics = 6, 5 * 3
    assert cv.forecast_sizes(*SIZES).fits == {"scores": pairs * of_metrics}
    found = cv.forecast_sizes(
        *SIZES, bootstrap=cv.Bootstrap(100, refits=20), shuffle=cv.Shuffle(9), controls=3
    )
    assert found.fits == {
        "scores": pairs * of_metrics,
        "refits": 20 * pairs * of_metrics,
        "shuffles": 9 * pairs * of_metrics,
        "controls": 3 * pairs * of_metrics,
    }
    fewer = cv.forecast_sizes(*SIZES, "linear", bootstrap=cv.Bootstrap(7), folds=2)
    assert fewer.fits == {"scores": pairs * 2, "refits": 7 * pairs * 2}  # no more than resamples
    units = cv.forecast_sizes(*SIZES, "linear", bootstrap=cv.Bootstrap(100, over=("units",)))
    assert units.fits["refits"] == 0  # maps are as they were


@pytest.mark.parametrize(
    ("ceiling", "repeats", "fits"),
    [
        ("attainable", 6, 30),
        ("attainable", 1, 0),
        ("split-half", 6, 0),
        ("self", 1, 1),
        (None, 6, 0),
    ],
)
def test_it_counts_the_fits_of_ceilings(ceiling, repeats, fits):
    found = cv.forecast_sizes(*SIZES, "linear", ceiling=ceiling, repeats=repeats)
    assert found.fits.get("ceiling", 0) == fits * 3 * 5
    has_cost = bool(fits) or (ceiling is not None and repeats > 1)
    assert ("ceiling" in found.seconds) == has_cost


def test_what_is_asked_for_has_a_time_that_grows_with_it():
    plain = cv.forecast_sizes(*SIZES)
    for name, few, many in (
        ("shuffles", {"shuffle": cv.Shuffle(10)}, {"shuffle": cv.Shuffle(100)}),
        ("controls", {"controls": 2}, {"controls": 20}),
        ("refits", {"bootstrap": cv.Bootstrap(20)}, {"bootstrap": cv.Bootstrap(200)}),
        ("bootstrap", {"bootstrap": cv.Bootstrap(20)}, {"bootstrap": cv.Bootstrap(200)}),
    ):
        assert name not in plain.seconds
        first, second = (cv.forecast_sizes(*SIZES, **asked) for asked in (few, many))
        assert second.seconds[name] == pytest.approx(10 * first.seconds[name])
        assert name in str(first)
    # of the same kind of work as the scores themselves
    of_metrics = sum(plain.seconds[metric] for metric in cv.METRICS)
    shuffled = cv.forecast_sizes(*SIZES, shuffle=cv.Shuffle(10)).seconds["shuffles"]
    assert shuffled == pytest.approx(10 * of_metrics)


def test_the_forecast_of_assemblies_takes_their_repeats_and_the_settings_of_score():
    rng = np.random.default_rng(0)
    trials = cv.Assembly.from_array(
        rng.standard_normal((40, 5, 3)),
        dims=("stimulus", "unit", "repeat"),
        stimuli=[f"{i:02d}" for i in range(40)],
    )
    mean = trials.average()
    found = cv.forecast(mean, trials, "linear", ceiling="attainable", folds=cv.Folds(4), controls=1)
    expected = cv.forecast_sizes(
        40, [5], [5], "linear", folds=4, repeats=3, ceiling="attainable", controls=1
    )
    assert found == expected
    with pytest.raises(TypeError, match="unexpected keywords"):
        cv.forecast(mean, trials, boostrap=cv.Bootstrap(10))
