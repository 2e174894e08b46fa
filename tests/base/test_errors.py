"""Warnings point at the line of the caller's own code, however deep they are raised."""

import inspect
import warnings

import numpy as np
import pytest

import convergent as cv
from convergent.base.errors import warn
from convergent.base.progress import track


def population(names, units=4):
    values = np.random.default_rng(units).standard_normal((len(names), units))
    return cv.Assembly.from_array(values, stimuli=names, name=f"p{units}")


ONE = population([f"s{i:02d}" for i in range(40)])
OTHER = population([f"s{i:02d}" for i in range(1, 41)], units=6)


def line():
    """Line of the call to this function."""
    return inspect.currentframe().f_back.f_lineno


@pytest.fixture
def caught():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found


def check(caught, expected):
    (warning,) = caught
    assert warning.category is UserWarning
    assert "share 39 of 41 stimuli" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, expected)


def test_a_direct_call(caught):
    cv.align(ONE, OTHER), (expected := line())
    check(caught, expected)


def test_a_call_through_many_functions_of_the_package(caught):
    cv.score(ONE, OTHER, metrics=["linear"], ceiling=None), (expected := line())
    check(caught, expected)


def test_the_innermost_function_of_the_caller(caught):
    def helper():
        cv.align(ONE, OTHER)
        return line() - 1

    check(caught, helper())


def test_a_generator_of_the_caller_that_the_package_runs(caught):
    lines = []

    def steps():
        yield cv.align(ONE, OTHER)
        lines.append(line() - 1)

    list(track(steps(), "aligning", 1, show=False))
    check(caught, *lines)


def test_a_function_of_the_caller_that_the_package_calls(caught):
    def noisy(image):
        cv.align(ONE, OTHER), lines.append(line())
        return image

    lines = []
    cv.drawings(1).map(noisy)[0]
    check(caught, *lines)


def test_a_warning_is_an_error_where_the_caller_says_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="rename it"):
            warn("rename it")
