"""Measures that others report, to stand beside the three metrics: references, not three more.

All are in sample: nothing is fitted, and no stimulus is held out. They compare how populations
arrange the stimuli, and give no score to single units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..base.arrays import Array, centre, to_numpy
from ..base.errors import InputError, unknown
from .population import Population

__all__ = [
    "COMPARISONS",
    "RDMS",
    "REFERENCES",
    "T",
    "Vector",
    "check_stimuli",
    "cka",
    "kept",
    "mutual_knn",
    "rsa",
]

T = TypeVar("T")
Vector = NDArray[np.float64]


def kept(derive: Callable[[Population], T]) -> Callable[[Population], T]:
    """Derive something of a population once, for all its partners, and forget it with it.

    Parameters
    ----------
    derive : function
        Of a population; what it returns must not hold the population.

    Returns
    -------
    function
        The same, that remembers.
    """
    known: WeakKeyDictionary[Population, T] = WeakKeyDictionary()

    @wraps(derive)
    def once(population: Population) -> T:
        if population not in known:
            known[population] = derive(population)
        return known[population]

    return once


def check_stimuli(x: Population, y: Population, least: int, what: str) -> int:
    """Number of stimuli that two populations share, if a measure can work with so many.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.
    least : int
        How many the measure needs.
    what : str
        The measure's name, for the message.

    Raises
    ------
    InputError
        Where the numbers differ, or are too small.
    """
    if x.n_stimuli != y.n_stimuli:
        raise InputError(
            f"one population has {x.n_stimuli} stimuli and the other {y.n_stimuli}: give both over "
            "the same stimuli in the same order (convergent.align matches them by name)."
        )
    if x.n_stimuli < least:
        raise InputError(
            f"{what} over {x.n_stimuli} stimuli says nothing: it needs at least {least}. Use more "
            "stimuli."
        )
    return x.n_stimuli


def cka(x: Population, y: Population, debiased: bool = False) -> float:
    r"""Linear centred kernel alignment; ignores shift, scale, rotation and reflection.

    .. math:: \operatorname{CKA} = \frac{\langle K, L \rangle}{\|K\| \|L\|}

    with K and L the centred Gram matrices. With few stimuli or many units this is high for
    populations that have nothing in common; `debiased` takes the estimator of HSIC that is 0 on
    average for these, which amounts to the same formula with

    .. math:: \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n - 2}
              + \frac{\sum_{lm} K_{lm}}{(n - 1)(n - 2)}, \quad \tilde K_{ii} = 0,

    where the sums leave the diagonal out.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.
    debiased : bool
        Correct for the bias; may be slightly negative.

    Returns
    -------
    float
        1 for populations of the same geometry; NaN where one does not respond to any stimulus.

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or fewer than 3 (4 if `debiased`).

    References
    ----------
    Kornblith, Norouzi, Lee and Hinton 2019, ICML; Song, Smola, Gretton, Bedo and Borgwardt 2012,
    Journal of Machine Learning Research 13; Nguyen, Raghu and Kornblith 2021, ICLR; Murphy,
    Zylberberg and Fyshe 2024, arXiv 2405.01012.
    """
    check_stimuli(x, y, 4 if debiased else 3, "debiased CKA" if debiased else "CKA")
    a, b = (_unbiased(z.gram) if debiased else z.gram for z in (x, y))
    xp = array_api.array_namespace(a, b)
    lengths = float(xp.sum(a**2)) ** 0.5 * float(xp.sum(b**2)) ** 0.5
    return float(xp.sum(a * b)) / lengths if lengths else float("nan")


def rsa(
    x: Population,
    y: Population,
    compare: Literal["pearson", "spearman", "cosine"] = "pearson",
    rdm: Literal["euclidean", "correlation"] = "euclidean",
) -> float:
    """Representational similarity analysis: how alike the dissimilarities of stimuli are.

    With squared Euclidean dissimilarities it ignores shift, scale, rotation and reflection; with
    1 - correlation it ignores, for each stimulus, shift and scale of the whole population.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.
    compare : {"pearson", "spearman", "cosine"}
        What compares the two sets of dissimilarities, each pair of stimuli once.
    rdm : {"euclidean", "correlation"}
        Dissimilarity of two stimuli: squared Euclidean distance of their responses, or 1 - Pearson
        correlation of these over units.

    Returns
    -------
    float
        1 for the same dissimilarities; NaN where one side's do not vary (are all 0, for the
        cosine).

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or fewer than 3; where `compare` or `rdm` is
        not known; where responses to a stimulus do not vary over units, and so correlate with
        none.

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008, Frontiers in Systems Neuroscience 2.
    """
    for kind, name, known in (("comparison", compare, COMPARISONS), ("RDM", rdm, RDMS)):
        if name not in known:
            raise unknown(kind, name, known)
    n = check_stimuli(x, y, 3, "RSA")
    pairs = np.triu_indices(n, 1)
    a, b = (to_numpy(RDMS[rdm](z))[pairs] for z in (x, y))
    return COMPARISONS[compare](a, b)


def mutual_knn(x: Population, y: Population, k: int = 10) -> float:
    r"""Mutual k-nearest-neighbour alignment: neighbours that stimuli have in both populations.

    .. math:: \frac{1}{n} \sum_i \frac{|N_x(i) \cap N_y(i)|}{k}

    with N(i) the k other stimuli whose responses have the greatest cosine with those to stimulus
    i. As in the paper responses are not centred, so that shift is noticed; scale, rotation and
    reflection are ignored. By chance it is k / (n - 1).

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.
    k : int
        Number of neighbours.

    Returns
    -------
    float
        Between 0 and 1. A stimulus without any response has no neighbours, and shares none.

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or not at least k + 2; where responses are
        not complete.

    References
    ----------
    Huh, Cheung, Wang and Isola 2024, ICML, arXiv 2405.07987.
    """
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"k={k!r} neighbours: k is a whole number from 1 up.")
    n = check_stimuli(x, y, 3, "mutual k-nearest-neighbour alignment")
    if k > n - 2:
        raise InputError(
            f"each of {n} stimuli has {n - 1} others, and {k} of them as its nearest say nothing: "
            f"use k of at most {n - 2}, more stimuli, or leave this measure out."
        )
    shared = _neighbours(to_numpy(_cosines(x)), k) & _neighbours(to_numpy(_cosines(y)), k)
    return float(shared.sum() / (n * k))


def _unbiased(gram: Array) -> Array:
    """Gram matrix, centred so that products of two have no bias; 0 on the diagonal."""
    xp = array_api.array_namespace(gram)
    n = gram.shape[0]
    others = 1 - xp.eye(n, dtype=gram.dtype, device=array_api.device(gram))
    row = xp.sum(gram * others, axis=0)
    shift = xp.sum(row) / ((n - 1) * (n - 2))
    return (gram - row / (n - 2) - row[:, None] / (n - 2) + shift) * others


def _neighbours(cosines: Vector, k: int) -> NDArray[np.bool_]:
    """Which stimuli (columns) are among the k nearest of each (row), (n, n)."""
    silent = np.diagonal(cosines) == 0
    cosines = np.where(silent | np.eye(len(cosines), dtype=bool), -np.inf, cosines)
    nearest = np.argpartition(cosines, -k, axis=1)[:, -k:]
    near = np.zeros(cosines.shape, dtype=bool)
    np.put_along_axis(near, nearest, True, axis=1)
    near[silent] = False
    return near & np.isfinite(cosines)


@kept
def _cosines(population: Population) -> Array:
    """Cosines (n, n) of the responses to stimuli, as they come."""
    return _alike(population, 0.0)


@kept
def _correlations(population: Population) -> Array:
    """Pearson correlations (n, n) over units of the responses to stimuli."""
    total: Array = 0.0
    for block in population.blocks():
        total = total + array_api.array_namespace(block).sum(block, axis=1)
    return _alike(population, total[:, None] / population.n_units)


def _alike(population: Population, origin: Array) -> Array:
    """Cosines (n, n) of responses less an origin; 0, on the diagonal too, of those without any."""
    inner: Array = 0.0
    raw: Array = 0.0
    for block in population.blocks():
        xp = array_api.array_namespace(block)
        raw = raw + xp.sum(block**2, axis=1)
        block = block - origin
        inner = inner + block @ block.T
    if not bool(xp.all(xp.isfinite(raw))):
        raise InputError(
            "the responses hold NaN or infinite values: a population must be complete. Keep the "
            "units (or stimuli) that were recorded throughout."
        )
    squares = xp.linalg.diagonal(inner)
    responsive = squares > 1e-24 * raw  # less is rounding
    share = xp.where(
        responsive, 1 / xp.sqrt(xp.where(responsive, squares, xp.ones_like(squares))), 0.0
    )
    return inner * share * share[:, None]


def _squared_distances(population: Population) -> Array:
    """Squared Euclidean distances (n, n) of the responses to stimuli."""
    gram = population.gram
    xp = array_api.array_namespace(gram)
    squares = xp.linalg.diagonal(gram)
    return xp.clip(squares + squares[:, None] - 2 * gram, min=0.0)


def _correlation_distances(population: Population) -> Array:
    """1 - Pearson correlation (n, n) of the responses to stimuli."""
    correlations = _correlations(population)
    flat = np.flatnonzero(np.diagonal(to_numpy(correlations)) == 0)
    if len(flat):
        raise InputError(
            f"responses to {len(flat)} of {population.n_stimuli} stimuli (the first at position "
            f"{flat[0]}) are the same in all of {population.n_units} units, so they correlate with "
            "none: leave these stimuli out, or use rdm='euclidean'."
        )
    return 1 - correlations


def _cosine(a: Vector, b: Vector) -> float:
    """Cosine; NaN where a side is all 0."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")


def _pearson(a: Vector, b: Vector) -> float:
    """Pearson correlation; NaN where a side does not vary."""
    (_, a, a_length), (_, b, b_length) = (centre(z[:, None]) for z in (a, b))
    lengths = float(a_length[0] * b_length[0])
    return float(np.sum(a * b)) / lengths if lengths else float("nan")


def _spearman(a: Vector, b: Vector) -> float:
    """Spearman correlation; pairs that tie share a rank."""
    return _pearson(rankdata(a), rankdata(b))


COMPARISONS: dict[str, Callable[[Vector, Vector], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "cosine": _cosine,
}

RDMS: dict[str, Callable[[Population], Any]] = {
    "euclidean": _squared_distances,
    "correlation": _correlation_distances,
}

REFERENCES: dict[str, Callable[[Population, Population], float]] = {
    "cka": cka,
    "cka-debiased": partial(cka, debiased=True),
    "rsa-pearson": rsa,
    "rsa-spearman": partial(rsa, compare="spearman"),
    "rsa-cosine": partial(rsa, compare="cosine"),
    "mutual-knn": mutual_knn,
}
