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
