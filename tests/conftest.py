"""What several tests share."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from convergent.scoring.pair_scores import RunningPairScores


def pytest_configure():
    """One thread for each of the processes, which share the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _no_open_figures():
    """Close the figures that pyplot manages: more than twenty of them give a warning."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def pairs_done(monkeypatch):
    """How many pairs were scored (``count``), and how many until an interruption (``most``)."""
    seen = SimpleNamespace(count=0, most=np.inf)

    def done(self, whole=RunningPairScores.done):
        if seen.count == seen.most:
            raise KeyboardInterrupt
        seen.count += 1
        return whole(self)

    monkeypatch.setattr(RunningPairScores, "done", done)
    return seen


@pytest.fixture(scope="session")
def synthetic():
    """A source x, and the mean y over six repeats (``trials``) of a noisy linear readout of it.

    The independent figures of netrep and POT in the tests were computed on these arrays.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 50))
    signal = x @ (rng.standard_normal((50, 30)) / np.sqrt(50))
    trials = signal[:, None, :] + rng.standard_normal((200, 6, 30))
    y = trials.mean(1)
    assert (x.sum(), y.sum()) == pytest.approx((63.118870479661155, 46.415086796926566))
    return SimpleNamespace(x=x, y=y, trials=trials.transpose(0, 2, 1), signal=signal)
