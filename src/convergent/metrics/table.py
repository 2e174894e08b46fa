"""The three metrics by name."""

from __future__ import annotations

from collections.abc import Iterable

from ..base.arguments import as_list, check_keys, check_known
from ..base.errors import InputError, quoted
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
    """Metrics by name, from names, values, or a dict of names of one's own.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them
        ``"linear"``, ``[Linear(), "procrustes"]``, ``{"strict": Linear(penalties=[1e-4])}``.

    Returns
    -------
    dict of metric
        By name, in the order given.

    Raises
    ------
    InputError
        If there is none, or a name is not known or comes twice.
    """
    if isinstance(metrics, dict) and metrics:
        check_keys("metrics", metrics, "a dict of metrics by name")
        return {str(name): as_metric(value) for name, value in metrics.items()}
    alone = isinstance(metrics, (str, bytes, type, Metric)) or not isinstance(metrics, Iterable)
    given = () if isinstance(metrics, dict) else metrics  # an empty one
    several = [metrics] if alone else as_list("metrics", given, "a list of metrics")
    names = [metric_name(value) for value in several]
    if not several or len(set(names)) < len(names):
        raise InputError(
            f"metrics are {quoted(names)}: give at least one, each name once; to compare settings "
            'of one metric, name them: {"loose": Linear(...), "strict": Linear(...)}.'
        )
    return {name: as_metric(value) for name, value in zip(names, several, strict=True)}


def as_metric(value: object) -> Metric:
    """Metric of a name; a metric is returned as it is.

    Parameters
    ----------
    value : str or metric
        One of `METRICS`, or a value such as ``Linear()``.

    Returns
    -------
    Metric
        With its usual settings, if a name was given.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(value, str):
        check_known("metric", value, METRICS)
        return METRICS[value]()
    if isinstance(value, type) or not isinstance(value, Metric):
        raise InputError(
            f"{quoted(value)} is no metric: use one of {', '.join(METRICS)}, or Linear()."
        )
    return value


def metric_name(value: object) -> str:
    """Name of a metric that was given none: its own ``metric_name``, of `METRICS`, or its class.

    Parameters
    ----------
    value : str or metric
        A name stays as it is.

    Returns
    -------
    str
        The name.
    """
    if isinstance(value, str):
        return value
    own = None if isinstance(value, type) else getattr(value, "metric_name", None)
    if isinstance(own, str):
        return own
    return next(
        (name for name, kind in METRICS.items() if type(value) is kind), type(value).__name__
    )
