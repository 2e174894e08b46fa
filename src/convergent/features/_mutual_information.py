"""Mutual information of units: how much one response says about another, linear or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import xlogy
from sklearn.feature_selection import mutual_info_regression

from ..base.arrays import Floats, Integers
from ..base.errors import InputError, unknown
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import OF_PROTOCOL, Protocol, Settings, settle
from ._results import result
from ._two_populations import TwoPopulations, prepare

__all__ = ["binned_information", "mutual_information"]

_FEWEST_BINS, _MOST_BINS = 4, 16
_BLOCK_VALUES = 2**24  # of a table of counts, or of indicators of bins
_ESTIMATORS = ("bins", "nearest-neighbours")


def mutual_information(
    source: Assembly,
    target: Assembly,
    *,
    estimator: Literal["bins", "nearest-neighbours"] = "bins",
    bins: int | None = None,
    neighbours: int = 3,
    **settings: Unpack[Settings],
) -> xr.DataArray:
    r"""Mutual information of each source unit with each target unit, in bits.

    With bins, the responses of a unit are counted in bins that hold equally many of them; a value
    that many stimuli share (the zero of a rectified unit) has a bin of its own. From the entropies
    H of these counts,

    .. math:: I = H_x + H_y - H_{xy} + \frac{m_x + m_y - m_{xy} - 1}{2 n \ln 2},

    where m are numbers of bins that are not empty: each entropy has Miller and Madow's correction,
    (m - 1) / 2n nats, here in bits. Differences within a bin are ignored.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    estimator : {"bins", "nearest-neighbours"}
        "nearest-neighbours" is scikit-learn's estimate from distances to nearest neighbours,
        without bins. It takes about a millisecond per pair of units for each 200 stimuli, and
        assumes that few values are equal.
    bins : int, optional
        Number of bins of each unit; by default the cube root of the number of stimuli, from 4 to
        16.
    neighbours : int
        Number of nearest neighbours.
    **settings : Settings
        ``study`` and ``progress``, or ``compute`` with these.

    Returns
    -------
    xarray.DataArray
        (source_unit, target_unit), in bits; near 0 (sometimes slightly below) for independent
        units, 0 for silent ones. Attrs: ``units``, ``estimator``, ``n_stimuli``, ``source``,
        ``target``, ``provenance``.

    Raises
    ------
    InputError
        If the estimator is unknown, a number is out of its range, or the populations do not fit.

    References
    ----------
    Miller 1955 (bias of entropies); Kraskov, Stoegbauer and Grassberger 2004, Physical Review E 69;
    Ross 2014, PLoS ONE 9; Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    _, compute = settle(settings, usual=Protocol(), without=OF_PROTOCOL)
    if estimator not in _ESTIMATORS:
        raise unknown("estimator", estimator, _ESTIMATORS)
    for name, value, least in (("bins", bins, 2), ("neighbours", neighbours, 1)):
        if value is not None and (not isinstance(value, (int, np.integer)) or value < least):
            raise InputError(f"{name}={value!r}: give a whole number from {least} up.")
    pair = prepare(source, target, None)
    own = {"estimator": estimator, "bins": bins, "neighbours": neighbours}
    make = partial(_information, pair, own, compute.progress)
    found = result("mutual_information", pair, make, compute, own)
    return found["mutual_information"].assign_attrs(found.attrs)


def _information(pair: TwoPopulations, own: Mapping[str, Any], progress: bool | None) -> xr.Dataset:
    x, y = (side.values for side in pair.sides)
    if own["estimator"] == "bins":
        values = binned_information(x, y, bins=own["bins"])
    else:
        k = own["neighbours"]
        columns = [
            mutual_info_regression(x, column, n_neighbors=k, random_state=0) / np.log(2)
            for column in track(y.T, "mutual information", y.shape[1], progress)
        ]
        values = np.stack(columns, axis=1)
    values[pair.source.silent] = 0.0
    values[:, pair.target.silent] = 0.0
    array = xr.DataArray(
        values,
        {"source_unit": pair.source.units, "target_unit": pair.target.units},
        ("source_unit", "target_unit"),
        attrs={"units": "bits", "estimator": own["estimator"]},
    )
    return xr.Dataset({"mutual_information": array})


def binned_information(
    x: Floats,
    y: Floats,
    test_x: Floats | None = None,
    test_y: Floats | None = None,
    bins: int | None = None,
) -> Floats:
    """Mutual information (p, q) in bits, from counts in bins, corrected for bias.

    Parameters
    ----------
    x, y : float array (n, p), (n, q)
        Training responses, which set the edges of the bins.
    test_x, test_y : float array (m, p), (m, q), optional
        Test responses, which are counted; by default those of training. With few test stimuli the
        estimate is still slightly too high, as bins do not hold equally many of them.
    bins : int, optional
        Number of bins of each unit; by default the cube root of n or m, the smaller one, from 4
        to 16.

    Returns
    -------
    float array (p, q)
    """
    test_x, test_y = (x if test_x is None else test_x), (y if test_y is None else test_y)
    fewest = min(len(x), len(test_x))
    n_bins = bins or int(np.clip(round(fewest ** (1 / 3)), _FEWEST_BINS, _MOST_BINS))
    one, other = _binned(x, test_x, n_bins), _binned(y, test_y, n_bins)
    n, p, q = len(one), one.shape[1], other.shape[1]
    (x_entropy, x_bins), (y_entropy, y_bins) = _own(one, n_bins + 1), _own(other, n_bins + 1)
    joint, joint_bins = np.empty((p, q)), np.empty((p, q))
    for rows in _blocks(p, n_bins + 1, n):
        left = _indicators(one[:, rows], n_bins + 1)
        for columns in _blocks(q, n_bins + 1, n):
            counts = left.T @ _indicators(other[:, columns], n_bins + 1)
            counts = counts.reshape(-1, n_bins + 1, columns.stop - columns.start, n_bins + 1)
            joint[rows, columns] = _entropy(counts, n, axis=(1, 3))
            joint_bins[rows, columns] = (counts > 0).sum((1, 3))
    plain = x_entropy[:, None] + y_entropy - joint
    bias = (x_bins[:, None] + y_bins - joint_bins - 1) / (2 * n)
    return np.asarray((plain + bias) / np.log(2))


def _binned(training: Floats, test: Floats, n_bins: int) -> Integers:
    """Bin of each test response; the last bin holds the value that many stimuli share, if any."""
    found = np.empty(test.shape, dtype=np.intp)
    for unit in range(training.shape[1]):
        values, counts = np.unique(training[:, unit], return_counts=True)
        common = counts.argmax()
        shared = counts[common] * n_bins > len(training)
        rest = training[:, unit]
        if shared:
            rest = rest[rest != values[common]]
        edges = np.quantile(rest, np.arange(1, n_bins) / n_bins) if len(rest) else np.zeros(0)
        found[:, unit] = np.searchsorted(edges, test[:, unit], side="right")
        if shared:
            found[test[:, unit] == values[common], unit] = n_bins
    return found


def _own(bins: Integers, n_bins: int) -> tuple[Floats, Floats]:
    """Entropy of each unit in nats, and its number of bins that are not empty."""
    n, p = bins.shape
    counts = np.bincount((bins + n_bins * np.arange(p)).ravel(), minlength=n_bins * p)
    counts = counts.reshape(p, n_bins)
    return _entropy(counts, n, axis=1), (counts > 0).sum(1) * 1.0


def _entropy(counts: NDArray[Any], n: int, axis: int | tuple[int, ...]) -> Floats:
    return np.asarray(np.log(n) - xlogy(counts, counts).sum(axis, dtype=np.float64) / n)


def _indicators(bins: Integers, n_bins: int) -> NDArray[np.float32]:
    """Indicators (n, units x bins): 1 where a response lies in a bin."""
    n, p = bins.shape
    indicators = np.zeros((n, p * n_bins), dtype=np.float32)
    indicators[np.arange(n)[:, None], bins + n_bins * np.arange(p)] = 1
    return indicators


def _blocks(units: int, n_bins: int, n: int) -> Iterator[slice]:
    """Blocks of units whose indicators and whose table of counts stay below a limit of memory."""
    step = max(1, min(_BLOCK_VALUES // (n_bins * n), int(_BLOCK_VALUES**0.5) // n_bins))
    return (slice(start, min(start + step, units)) for start in range(0, units, step))
