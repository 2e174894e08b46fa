"""Examples in the docstrings of figures run."""

import doctest
import sys

import pytest

from convergent import plot


@pytest.mark.parametrize("function", [plot.scores, plot.hierarchy])
def test_examples_run(function):
    found = doctest.testmod(sys.modules[function.__module__])
    assert found.attempted
    assert not found.failed
