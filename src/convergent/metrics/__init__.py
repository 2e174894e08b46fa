"""The three metrics, one file of maths each, the table of their names, and what wraps them."""

from __future__ import annotations

from .circular_shifts import CircularShifts
from .fold_score import FoldScore
from .linear import Linear
from .named import METRICS, FittedMap, Metric, named_metrics
from .procrustes import Procrustes
from .soft_matching import SoftMatching

__all__ = [
    "METRICS",
    "CircularShifts",
    "FittedMap",
    "FoldScore",
    "Linear",
    "Metric",
    "Procrustes",
    "SoftMatching",
    "named_metrics",
]
