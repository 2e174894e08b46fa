"""Compare networks with brains, and networks with networks.

>>> import convergent as cv
>>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
>>> layers = cv.extract(cv.network("efficientnet-lite0"), stimuli)  # doctest: +SKIP
>>> cv.summary(cv.score(layers, recording))  # doctest: +SKIP
"""

from importlib.metadata import version

from .assembly import Assembly, align
from .assembly import open_assembly as open  # noqa: A004
from .ceiling import split_half
from .crossval import Folds, score, summary
from .errors import InputError
from .metrics import METRICS, Linear, Procrustes, SoftMatching
from .stimuli import Stimuli

__version__ = version("convergent")

__all__ = [
    "METRICS",
    "Assembly",
    "Folds",
    "InputError",
    "Linear",
    "Procrustes",
    "SoftMatching",
    "Stimuli",
    "align",
    "open",
    "score",
    "split_half",
    "summary",
]
