"""What a metric is, and the table of the names of the three."""

from __future__ import annotations

from ..base.errors import InputError, unknown
from .base import Metric
from .linear import Linear
from .procrustes import Procrustes
from .soft_matching import SoftMatching

__all__ = ["METRICS", "as_metric", "metric_name", "named_metrics"]

METRICS: dict[str, type[Metric]] = {
    "linear": Linear,
    "procrustes": Procrustes,
    "soft-matching": SoftMatching,
}


def named_metrics(metrics: object) -> dict[str, Metric]:
    """Metrics by name: from names, values, or a dict of one's own names and values.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them
        ``"linear"``, ``[Linear(), "procrustes"]``, ``{"strict": Linear(penalties=[1e-4])}``.

    Raises
    ------
    InputError
        Where a name is not known, or comes twice.
    """
    if isinstance(metrics, dict) and metrics:
        return {str(name): as_metric(value) for name, value in metrics.items()}
    several = list(metrics) if isinstance(metrics, (list, tuple, dict)) else [metrics]
    names = [metric_name(value) for value in several]
    if not several or len(set(names)) < len(names):
        raise InputError(
            f"metrics are {names}: give at least one, each name once; to compare settings of one "
            'metric, name them: {"loose": Linear(...), "strict": Linear(...)}.'
        )
    return {name: as_metric(value) for name, value in zip(names, several, strict=True)}


def as_metric(value: object) -> Metric:
    """A metric, from itself or its name.

    Parameters
    ----------
    value : str or metric
        One of `METRICS`, or a value such as ``Linear()``.

    Raises
    ------
    InputError
        Where it is neither.
    """
    if isinstance(value, str):
        if value not in METRICS:
            raise unknown("metric", value, METRICS)
        return METRICS[value]()
    if isinstance(value, type) or not isinstance(value, Metric):
        raise InputError(f"{value!r} is no metric: use one of {', '.join(METRICS)}, or Linear().")
    return value


def metric_name(value: object) -> str:
    """What a metric is called where it is given no name: its own, that of `METRICS`, its class's.

    Parameters
    ----------
    value : str or metric
        A name stays as it is.
    """
    if isinstance(value, str):
        return value
    own = None if isinstance(value, type) else getattr(value, "metric_name", None)
    if isinstance(own, str):
        return own
    return next(
        (name for name, kind in METRICS.items() if type(value) is kind), type(value).__name__
    )
