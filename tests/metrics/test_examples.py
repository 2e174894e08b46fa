"""The examples of docstrings run, and print what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "base.arrays",
    "metrics.distances",
    "metrics.linear",
    "metrics.population",
    "metrics.procrustes",
    "metrics.references",
    "metrics.soft_matching",
    "metrics.transport",
    "protocol.folds",
    "protocol.resampling",
    "protocol.settings",
    "statistics.aggregation",
    "statistics.inference",
    "statistics.reliability",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    found = doctest.testmod(importlib.import_module(f"convergent.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
