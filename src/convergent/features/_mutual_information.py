"""Mutual information of units: how much the response of one tells of another's, linear or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import xlogy
from sklearn.feature_selection import mutual_info_regression

from ..base.arrays import Floats, Integers
from ..base.errors import InputError, unknown
from ..base.progress import track
from ..data.assembly import Assembly
from ._two_populations import pair_of

__all__ = [
    "BLOCK_VALUES",
    "ESTIMATORS",
    "FEWEST_BINS",
    "MOST_BINS",
    "binned_information",
    "mutual_information",
]

FEWEST_BINS, MOST_BINS = 4, 16
BLOCK_VALUES = 2**24  # of a table of counts, or of marks of bins
ESTIMATORS = ("bins", "nearest-neighbours")


def mutual_information(
    source: Assembly,
    target: Assembly,
    *,
    estimator: Literal["bins", "nearest-neighbours"] = "bins",
    bins: int | None = None,
    neighbours: int = 3,
    progress: bool | None = None,
) -> xr.DataArray:
    r"""Mutual information of each source unit with each target unit, in bits.

    With bins, responses of a unit are counted in bins that hold equally many, and a value that many
    stimuli share (the zero of a rectified unit) in a bin of its own; with entropies of these,

    .. math:: I = H_x + H_y - H_{xy} + \frac{m_x + m_y - m_{xy} - 1}{2 n \ln 2},

    where m are numbers of bins that are not empty: each entropy has Miller and Madow's correction,
    (m - 1) / 2n nats, here in bits as well. What bins cannot tell apart is lost.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    estimator : {"bins", "nearest-neighbours"}
        Or scikit-learn's estimate from distances to nearest neighbours, without bins; a pair of
        units takes about a millisecond for each 200 stimuli, and it supposes that values seldom
        tie.
    bins : int, optional
        Bins of a unit; where left out the cube root of the number of stimuli, from 4 to 16.
    neighbours : int
        Number of nearest neighbours.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.DataArray
        (source_unit, target_unit); about 0 (and at times a little below) for independent units.

    Raises
    ------
    InputError
        Where a name or number is out of its range, or the populations do not fit.

    References
    ----------
    Miller 1955 (bias of entropies); Kraskov, Stoegbauer and Grassberger 2004, Physical Review E 69;
    Ross 2014, PLoS ONE 9; Li et al. 2015, arXiv 1511.07543.
    """
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS)
    for name, value, least in (("bins", bins, 2), ("neighbours", neighbours, 1)):
        if value is not None and (not isinstance(value, (int, np.integer)) or value < least):
            raise InputError(f"{name}={value!r}: give a whole number from {least} up.")
    pair = pair_of(source, target, folds=None)
    x, y = (side.values for side in pair.sides)
    if estimator == "bins":
        values = binned_information(x, y, bins=bins)
    else:
        columns = [
            mutual_info_regression(x, column, n_neighbors=neighbours, random_state=0) / np.log(2)
            for column in track(y.T, "mutual information", y.shape[1], progress)
        ]
        values = np.stack(columns, axis=1)
    values[pair.source.silent] = 0.0
    values[:, pair.target.silent] = 0.0
    return xr.DataArray(
        values,
        {"source_unit": pair.source.units, "target_unit": pair.target.units},
        ("source_unit", "target_unit"),
        "mutual_information",
        {"units": "bits", "estimator": estimator, "n_stimuli": len(pair.stimuli)},
    )


def binned_information(
    x: Floats,
    y: Floats,
    shown_x: Floats | None = None,
    shown_y: Floats | None = None,
    bins: int | None = None,
) -> Floats:
    """Mutual information (p, q) in bits, from counts in bins, less its bias.

    Parameters
    ----------
    x, y : float array (n, p), (n, q)
        Responses that decide on the bins.
    shown_x, shown_y : float array (m, p), (m, q), optional
        Responses that are counted in them; the same where left out. Of few others, the estimate is
        still somewhat too high, as bins do not hold equally many of them.
    bins : int, optional
        Of each unit; where left out the cube root of n or m, the lesser, from 4 to 16.
    """
    shown_x, shown_y = (x if shown_x is None else shown_x), (y if shown_y is None else shown_y)
    fewest = min(len(x), len(shown_x))
    n_bins = bins or int(np.clip(round(fewest ** (1 / 3)), FEWEST_BINS, MOST_BINS))
    one, other = _binned(x, shown_x, n_bins), _binned(y, shown_y, n_bins)
    n, p, q = len(one), one.shape[1], other.shape[1]
    (x_entropy, x_bins), (y_entropy, y_bins) = _own(one, n_bins + 1), _own(other, n_bins + 1)
    joint, joint_bins = np.empty((p, q)), np.empty((p, q))
    for rows in _blocks(p, n_bins + 1, n):
        left = _marks(one[:, rows], n_bins + 1)
        for columns in _blocks(q, n_bins + 1, n):
            counts = left.T @ _marks(other[:, columns], n_bins + 1)
            counts = counts.reshape(-1, n_bins + 1, columns.stop - columns.start, n_bins + 1)
            joint[rows, columns] = _entropy(counts, n, axis=(1, 3))
            joint_bins[rows, columns] = (counts > 0).sum((1, 3))
    plain = x_entropy[:, None] + y_entropy - joint
    bias = (x_bins[:, None] + y_bins - joint_bins - 1) / (2 * n)
    return np.asarray((plain + bias) / np.log(2))


def _binned(fitted: Floats, shown: Floats, n_bins: int) -> Integers:
    """The bin of each response; what many share lies in the last one."""
    found = np.empty(shown.shape, dtype=np.intp)
    for unit in range(fitted.shape[1]):
        values, counts = np.unique(fitted[:, unit], return_counts=True)
        common = counts.argmax()
        shared = counts[common] * n_bins > len(fitted)
        rest = fitted[:, unit]
        if shared:
            rest = rest[rest != values[common]]
        edges = np.quantile(rest, np.arange(1, n_bins) / n_bins) if len(rest) else np.zeros(0)
        found[:, unit] = np.searchsorted(edges, shown[:, unit], side="right")
        if shared:
            found[shown[:, unit] == values[common], unit] = n_bins
    return found


def _own(bins: Integers, n_bins: int) -> tuple[Floats, Floats]:
    """Entropy of each unit in nats, and how many of its bins are not empty."""
    n, p = bins.shape
    counts = np.bincount((bins + n_bins * np.arange(p)).ravel(), minlength=n_bins * p)
    counts = counts.reshape(p, n_bins)
    return _entropy(counts, n, axis=1), (counts > 0).sum(1) * 1.0


def _entropy(counts: NDArray[Any], n: int, axis: int | tuple[int, ...]) -> Floats:
    return np.asarray(np.log(n) - xlogy(counts, counts).sum(axis, dtype=np.float64) / n)


def _marks(bins: Integers, n_bins: int) -> NDArray[np.float32]:
    """(n, units x bins): 1 where a response lies in a bin."""
    n, p = bins.shape
    marks = np.zeros((n, p * n_bins), dtype=np.float32)
    marks[np.arange(n)[:, None], bins + n_bins * np.arange(p)] = 1
    return marks


def _blocks(units: int, n_bins: int, n: int) -> Iterator[slice]:
    """Units whose marks, and whose table of counts with as many others, are not too many."""
    step = max(1, min(BLOCK_VALUES // (n_bins * n), int(BLOCK_VALUES**0.5) // n_bins))
    return (slice(start, min(start + step, units)) for start in range(0, units, step))
