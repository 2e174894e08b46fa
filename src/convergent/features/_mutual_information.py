"""Mutual information of units: how much one response says about another, linear or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma, gammaln, xlogy

from ..base.arguments import as_whole, check_known
from ..base.arrays import Floats, Integers
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import OF_PROTOCOL, Protocol, Settings, settle
from ._results import result
from ._two_populations import TwoPopulations, prepare

__all__ = ["binned_information", "expected_information", "mutual_information"]

_FEWEST_BINS, _MOST_BINS = 4, 16
_FEW_EXPECTED = 50  # stimuli in a pair of bins: above, moments are exact enough
_ROUNDING = 1e-12  # of nats
_NOISE = 1e-8  # of a unit's deviation
_BLOCK_VALUES = 2**24  # of a table of counts, or of indicators of bins
_ESTIMATORS = ("bins", "nearest-neighbours")


_MOST_BINS = 2**10  # more hold one stimulus each


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
    H of these counts, and the mean E of the information over all ways to exchange the stimuli,

    .. math:: I = (H_x + H_y - H_{xy} - E) \, \frac{m}{m - E}, \qquad m = \min(H_x, H_y).

    So I is 0 on average for independent units, whatever the sizes of their bins, and m for a unit
    that determines the other (the adjusted mutual information of Vinh et al., times m). Differences
    within a bin are ignored: I comes out lower where responses are continuous.

    With nearest neighbours,

    .. math:: I = \psi(k) + \psi(n) - \langle \psi(n_x) + \psi(n_y) \rangle,

    where :math:`n_x` and :math:`n_y` are numbers of stimuli that are closer in one response than
    the k-th neighbour is in both, the stimulus itself included. Noise of
    1e-8 of the unit's deviation, which shares no information, separates responses that tie.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    estimator : {"bins", "nearest-neighbours"}
        "nearest-neighbours" takes about a millisecond per pair of units for each 200 stimuli. For
        responses that correlate it is nearer the truth than bins; its variance is larger, and
        units that respond to few stimuli, such as 2 of 100, come out about 0.03 bits too high.
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
        (source_unit, target_unit), in bits; with bins 0 on average for independent units, so often
        slightly below 0; 0 for silent units. Attrs: ``units``, ``estimator``, ``n_stimuli``,
        ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If the estimator is unknown, a number is out of its range, or the populations do not fit.

    References
    ----------
    Vinh, Epps and Bailey 2010, Journal of Machine Learning Research 11 (chance); Kraskov,
    Stoegbauer and Grassberger 2004, Physical Review E 69 (first estimator, nearest neighbours);
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    _, compute = settle(settings, usual=Protocol(), without=OF_PROTOCOL)
    check_known("estimator", estimator, _ESTIMATORS)
    bins = None if bins is None else as_whole("bins", bins, 2, _MOST_BINS)
    neighbours = as_whole("neighbours", neighbours)
    pair = prepare(source, target, None)
    if estimator == "nearest-neighbours" and neighbours >= pair.n_stimuli:
        raise InputError(
            f"neighbours={neighbours}: there are {pair.n_stimuli} stimuli, so each has fewer "
            "neighbours. Give a smaller number."
        )
    own = {"estimator": estimator, "bins": bins, "neighbours": neighbours}
    make = partial(_information, pair, own, compute.progress)
    found = result("mutual_information", pair, make, compute, own)
    return found["mutual_information"].assign_attrs(found.attrs)


def _information(pair: TwoPopulations, own: Mapping[str, Any], progress: bool | None) -> xr.Dataset:
    x, y = (side.values for side in pair.sides)
    if own["estimator"] == "bins":
        values = binned_information(x, y, bins=own["bins"])
    else:
        apart, columns = _untied(x, 0), _untied(y, 1)
        steps = track(columns.T, "mutual information", y.shape[1], progress)
        k = own["neighbours"]
        values = np.stack([[_by_neighbours(a, b, k) for a in apart.T] for b in steps], axis=1)
    values[pair.source.silent] = 0.0
    values[:, pair.target.silent] = 0.0
    array = xr.DataArray(
        values,
        {"source_unit": pair.source.units, "target_unit": pair.target.units},
        ("source_unit", "target_unit"),
        attrs={"units": "bits", "estimator": own["estimator"]},
    )
    return xr.Dataset({"mutual_information": array})


def _untied(values: Floats, side: int) -> Floats:
    """Responses with noise that tells ties apart; it hangs on the unit, not on its place."""
    noise = [
        np.random.default_rng([side, zlib.crc32(unit.tobytes())]).standard_normal(len(unit))
        for unit in values.T
    ]
    return values + _NOISE * np.stack(noise, axis=1)


def _by_neighbours(x: Floats, y: Floats, k: int) -> float:
    """Mutual information of two units in bits, from distances to nearest neighbours."""
    both = np.stack([x, y], axis=1)
    radius = cKDTree(both).query(both, [k + 1], p=np.inf)[0][:, 0]
    total = digamma(k) + digamma(len(x))
    for one in (x, y):
        ordered = np.sort(one)
        # the neighbour itself is not closer, but for rounding
        inside = np.maximum(radius * (1 - 1e-9) - 4 * np.finfo(np.float64).eps * np.abs(one), 0.0)
        closer = np.searchsorted(ordered, one + inside, "right")
        total = total - digamma(closer - np.searchsorted(ordered, one - inside, "left"))
    return float(np.mean(total)) / float(np.log(2))


def binned_information(
    x: Floats,
    y: Floats,
    test_x: Floats | None = None,
    test_y: Floats | None = None,
    bins: int | None = None,
) -> Floats:
    """Mutual information (p, q) in bits, from counts in bins, corrected for chance.

    Parameters
    ----------
    x, y : float array (n, p), (n, q)
        Training responses, which set the edges of the bins.
    test_x, test_y : float array (m, p), (m, q), optional
        Test responses, which are counted; by default those of training.
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
    x_sizes, y_sizes = (_counts(side, n_bins + 1) for side in (one, other))
    x_entropy, y_entropy = (_entropy(sizes, n, axis=1) for sizes in (x_sizes, y_sizes))
    joint = np.empty((p, q))
    for rows in _blocks(p, n_bins + 1, n):
        left = _indicators(one[:, rows], n_bins + 1)
        for columns in _blocks(q, n_bins + 1, n):
            counts = left.T @ _indicators(other[:, columns], n_bins + 1)
            counts = counts.reshape(-1, n_bins + 1, columns.stop - columns.start, n_bins + 1)
            joint[rows, columns] = _entropy(counts, n, axis=(1, 3))
    plain = x_entropy[:, None] + y_entropy - joint
    chance, most = expected_information(x_sizes, y_sizes), np.minimum(x_entropy[:, None], y_entropy)
    return _above_chance(plain, chance, most) / float(np.log(2))


def _above_chance(plain: Floats, chance: Floats, most: Floats) -> Floats:
    """Information less its mean by chance, so scaled that the most that is possible stays."""
    room = most - chance
    known = room > _ROUNDING
    scale = np.divide(most, room, out=np.zeros_like(most), where=known)
    return np.asarray((plain - chance) * scale)


def expected_information(x: Integers, y: Integers) -> Floats:
    r"""Mean information in bins over all ways to exchange the stimuli, in nats.

    Exchanges change no bin sizes a of one unit and b of the other. The number X of stimuli in both
    bins has a hypergeometric distribution with mean e = ab/n, so the mean is

    .. math:: \frac{1}{n} \sum_{ab} \operatorname{E}[X \ln X] - e \ln e.

    Parameters
    ----------
    x, y : int array (p, b), (q, b)
        Number of stimuli in each bin of each unit.

    Returns
    -------
    float array (p, q)

    References
    ----------
    Vinh, Epps and Bailey 2010, Journal of Machine Learning Research 11.
    """
    n = int(x[0].sum())
    (one, of_x), (other, of_y) = (_multiplicities(sizes) for sizes in (x, y))
    total = np.zeros((len(x), len(y)))
    step = max(1, _BLOCK_VALUES // 16 // len(other))
    for start in range(0, len(one), step):
        part = slice(start, start + step)
        total += of_x[:, part] @ (_excess(one[part, None], other[None], n) @ of_y.T)
    return total / n


def _multiplicities(sizes: Integers) -> tuple[Floats, Floats]:
    """The different sizes of bins, and how many bins (units, sizes) of each unit have each."""
    distinct, which = np.unique(sizes, return_inverse=True)
    which = which.reshape(sizes.shape)
    found = np.zeros((len(sizes), len(distinct)))
    np.add.at(found, (np.arange(len(sizes))[:, None], which), 1)
    return distinct.astype(np.float64), found


def _excess(a: Floats, b: Floats, n: int) -> Floats:
    """E[X ln X] - e ln e of hypergeometric X, for bins of the sizes a and b of n stimuli."""
    a, b = np.broadcast_arrays(a, b)
    e = a * b / n
    rest = (1 - a / n) * (1 - b / n) * n / max(n - 1, 1)
    skew = e * rest * (1 - 2 * a / n) * (1 - 2 * b / n) * n / max(n - 2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # where X is large, by its moments: variance e * rest, and third moment
        found = np.where(e > 0, rest / 2 - skew / (6 * e**2) + rest**2 / (4 * e), 0.0)
    few = (e > 0) & (e <= _FEW_EXPECTED)
    a, b, e = a[few], b[few], e[few]
    k = np.maximum(a + b - n, 0.0)
    chance = np.exp(
        gammaln(a + 1) - gammaln(a - k + 1) - gammaln(k + 1)
        + gammaln(n - a + 1) - gammaln(b - k + 1) - gammaln(n - a - b + k + 1)
        - gammaln(n + 1) + gammaln(b + 1) + gammaln(n - b + 1)
    )  # fmt: skip
    total = -xlogy(e, e)
    most = float((e + 10 * e**0.5 + 20 - k).max(initial=0.0))
    for _ in range(int(min(most, (np.minimum(a, b) - k).max(initial=0.0))) + 1):
        total += chance * xlogy(k, k)
        chance = chance * (a - k) * (b - k) / ((k + 1) * (n - a - b + k + 1))
        k = k + 1
    found[few] = total
    return found


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


def _counts(bins: Integers, n_bins: int) -> Integers:
    """Number of responses in each bin of each unit, (units, bins)."""
    p = bins.shape[1]
    counts = np.bincount((bins + n_bins * np.arange(p)).ravel(), minlength=n_bins * p)
    return counts.reshape(p, n_bins)


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
