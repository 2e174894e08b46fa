"""Examples in the docstrings of public functions run, and print what they say."""

import doctest
import importlib

import pytest

from convergent import features

MODULES = sorted({getattr(features, name).__module__ for name in features.__all__})


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module):
    assert not doctest.testmod(importlib.import_module(module)).failed
