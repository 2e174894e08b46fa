"""Measures that other studies report, to stand beside the three metrics.

All are in sample: nothing is fitted, and no stimulus is held out. They compare how populations
arrange the stimuli, and give no score to single units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import array_api_compat as array_api
import numpy as np
from scipy.stats import rankdata

from ..base.arguments import as_whole, check_flags, check_known
from ..base.arrays import Array, Floats, centre, to_numpy
from ..base.errors import InputError
from .inputs import Responses, paired_populations
from .population import Population

__all__ = ["REFERENCES", "cka", "mutual_knn", "rsa"]

_ROUNDING = 1e-12  # of cosines, and of a Gram matrix
_SAME_DISTANCE = 1e-10  # of the greatest distance


def cka(x: Responses, y: Responses, debiased: bool = False) -> float:
    r"""Linear centred kernel alignment; ignores shift, scale, rotation and reflection.

    .. math:: \operatorname{CKA} = \frac{\langle K, L \rangle}{\|K\| \|L\|}

    with K and L the centred Gram matrices. With few stimuli or many units this is high even for
    populations that have nothing in common. `debiased` uses the estimator of HSIC that is 0 on
    average for these, which amounts to the same formula with

    .. math:: \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n - 2}
              + \frac{\sum_{lm} K_{lm}}{(n - 1)(n - 2)}, \quad \tilde K_{ii} = 0,

    where the sums exclude the diagonal.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.
    debiased : bool
        Correct for the bias; may be slightly negative.

    Returns
    -------
    float
        1 for populations of the same geometry; NaN where one does not vary over stimuli, and, if
        `debiased`, where all pairs of stimuli are equally far apart.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3 (4 if `debiased`), or values are
        missing.

    References
    ----------
    Kornblith, Norouzi, Lee and Hinton 2019, ICML; Song, Smola, Gretton, Bedo and Borgwardt 2012,
    Journal of Machine Learning Research 13; Nguyen, Raghu and Kornblith 2021, ICLR; Murphy,
    Zylberberg and Fyshe 2024, arXiv 2405.01012.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, unrelated = rng.standard_normal((2, 60, 200))
    >>> round(cv.references.cka(x, 2 * x[:, ::-1] + 1), 4)
    1.0
    >>> round(cv.references.cka(x, unrelated), 2)  # high, although they have nothing in common
    0.77
    >>> abs(cv.references.cka(x, unrelated, debiased=True)) < 0.05
    True
    """
    check_flags(debiased=debiased)
    what = "debiased CKA" if debiased else "CKA"
    both = paired_populations(x, y, 4 if debiased else 3, what)
    a, b = (_unbiased(z.gram) if debiased else z.gram for z in both)
    xp = array_api.array_namespace(a, b)
    lengths = [_length(part, z.gram) for part, z in zip((a, b), both, strict=True)]
    return float(xp.sum(a / lengths[0] * (b / lengths[1]))) if all(lengths) else float("nan")


def rsa(
    x: Responses,
    y: Responses,
    compare: Literal["pearson", "spearman", "cosine"] = "pearson",
    rdm: Literal["euclidean", "correlation"] = "euclidean",
) -> float:
    r"""Representational similarity analysis: how alike the dissimilarities of stimuli are.

    The dissimilarity matrix (RDM) of a population with responses :math:`x_i` to stimulus i is

    .. math:: D_{ij} = \|x_i - x_j\|^2 \quad\text{or}\quad
              D_{ij} = 1 - \operatorname{corr}(x_i, x_j),

    and those of two populations are compared over all pairs i < j of stimuli.

    With squared Euclidean dissimilarities it ignores shift, scale, rotation and reflection; with
    1 - correlation it ignores, for each stimulus, shift and scale of the whole population.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.
    compare : {"pearson", "spearman", "cosine"}
        How the two sets of dissimilarities are compared.
    rdm : {"euclidean", "correlation"}
        Dissimilarity of two stimuli: squared Euclidean distance of their responses, or 1 - Pearson
        correlation of these over units.

    Returns
    -------
    float
        1 for the same dissimilarities; NaN where those of one side do not vary (for the cosine:
        are all 0).

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, or values are missing; where `compare`
        or `rdm` is not known; where responses to a stimulus do not vary over units, and so have no
        correlation.

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008, Frontiers in Systems Neuroscience 2.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((30, 8))
    >>> round(cv.references.rsa(x, 2 * x[:, ::-1] + 1), 4)
    1.0
    >>> round(cv.references.rsa(x, 5 + x * np.linspace(1, 3, 30)[:, None], rdm="correlation"), 4)
    1.0
    """
    for kind, name, known in (("comparison", compare, _COMPARISONS), ("RDM", rdm, _RDMS)):
        check_known(kind, name, known)
    both = paired_populations(x, y, 3, "RSA")
    pairs = np.triu_indices(both[0].n_stimuli, 1)
    a, b = (to_numpy(_RDMS[rdm](z))[pairs] for z in both)
    return _COMPARISONS[compare](a, b)


def mutual_knn(x: Responses, y: Responses, k: int = 10) -> float:
    r"""Mutual k-nearest-neighbour alignment: neighbours that stimuli have in both populations.

    .. math:: \frac{1}{n} \sum_i \frac{|N_x(i) \cap N_y(i)|}{k}

    where N(i) are the k other stimuli whose responses have the greatest cosine with the responses
    to stimulus i. As in the paper responses are not centred, so that shift is noticed; scale,
    rotation and reflection are ignored. The value expected by chance is k / (n - 1).

    Where several stimuli tie for the last places among the k, the value is the exact mean over
    all ways to choose among them, on each side independently of the other. So it does not depend
    on the order of stimuli, and with ties a population has less than 1 with itself.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.
    k : int
        Number of neighbours.

    Returns
    -------
    float
        Between 0 and 1. A stimulus without any response has no neighbours, and shares none. NaN
        where all cosines of a population tie, as in one that does not vary over stimuli, or in a
        single unit whose responses are all positive.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than k + 2, or values are missing.

    References
    ----------
    Huh, Cheung, Wang and Isola 2024, ICML, arXiv 2405.07987.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((30, 8))
    >>> cv.references.mutual_knn(x, 2 * x[:, ::-1])
    1.0
    """
    k = as_whole("k", k)
    one, other = paired_populations(x, y, 3, "mutual k-nearest-neighbour alignment")
    n = one.n_stimuli
    if k > n - 2:
        raise InputError(
            f"each of {n} stimuli has {n - 1} others, and {k} of them as its nearest say nothing: "
            f"use k of at most {n - 2}, more stimuli, or omit this measure."
        )
    near, also_near = (_neighbours(to_numpy(side.cosines), k) for side in (one, other))
    return float(np.sum(near * also_near) / (n * k))


def _length(part: Array, gram: Array) -> float:
    """Norm of a Gram matrix, or of what centring leaves of it; 0 if that is rounding alone."""
    xp = array_api.array_namespace(gram)
    size = float(xp.max(xp.abs(gram)))  # squares of very small numbers cannot be represented
    if not size:
        return 0.0
    length, whole = (float(xp.sum((each / size) ** 2)) ** 0.5 for each in (part, gram))
    return length * size if length > _ROUNDING * whole else 0.0


def _unbiased(gram: Array) -> Array:
    """Gram matrix, centred so that the product of two has no bias; 0 on the diagonal."""
    xp = array_api.array_namespace(gram)
    n = gram.shape[0]
    others = 1 - xp.eye(n, dtype=gram.dtype, device=array_api.device(gram))
    row = xp.sum(gram * others, axis=0)
    shift = xp.sum(row) / ((n - 1) * (n - 2))
    return (gram - row / (n - 2) - row[:, None] / (n - 2) + shift) * others


def _neighbours(cosines: Floats, k: int) -> Floats:
    """Probability that a stimulus (column) is among the k nearest of another (row), (n, n).

    1 or 0, except for stimuli that tie for the last places. NaN if all cosines tie.
    """
    some = np.diagonal(cosines) > 0
    apart = some & some[:, None] & ~np.eye(len(cosines), dtype=bool)
    known = cosines[apart]
    if not known.size or np.ptp(known) <= _ROUNDING:
        return np.full_like(cosines, np.nan)
    cosines = np.where(apart, cosines, -np.inf)
    last = np.partition(cosines, -k, axis=1)[:, -k, None]
    if_few = np.where(np.isfinite(last), last, -2.0)  # fewer than k others respond: all are near
    nearer, tied = cosines > if_few + _ROUNDING, np.abs(cosines - if_few) <= _ROUNDING
    places = k - nearer.sum(1, keepdims=True)
    return np.where(tied, places / np.maximum(tied.sum(1, keepdims=True), 1), nearer * 1.0)


def _squared_distances(population: Population) -> Array:
    """Squared Euclidean distances (n, n) of the responses to stimuli."""
    gram = population.gram
    xp = array_api.array_namespace(gram)
    squares = xp.linalg.diagonal(gram)
    return xp.clip(squares + squares[:, None] - 2 * gram, min=0.0)


def _correlation_distances(population: Population) -> Array:
    """1 - Pearson correlation (n, n) of the responses to stimuli."""
    correlations = population.correlations
    flat = np.flatnonzero(np.diagonal(to_numpy(correlations)) == 0)
    if len(flat):
        raise InputError(
            f"responses to {len(flat)} of {population.n_stimuli} stimuli (the first at position "
            f"{flat[0]}) are the same in all of {population.n_units} units, so they have no "
            "correlation: omit these stimuli, or use rdm='euclidean'."
        )
    distances = 1 - correlations
    xp = array_api.array_namespace(distances)
    return xp.where(distances > _ROUNDING, distances, 0.0)


def _cosine(a: Floats, b: Floats) -> float:
    """Cosine; NaN where a side is all 0."""
    sizes = [float(np.abs(side).max()) for side in (a, b)]
    if not all(sizes):
        return float("nan")
    a, b = a / sizes[0], b / sizes[1]  # squares of very small numbers cannot be represented
    return float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


def _pearson(a: Floats, b: Floats) -> float:
    """Pearson correlation; NaN where a side does not vary."""
    (_, a, a_length), (_, b, b_length) = (centre(z[:, None], computed=True) for z in (a, b))
    lengths = float(a_length[0] * b_length[0])
    return float(np.sum(a * b)) / lengths if lengths else float("nan")


def _spearman(a: Floats, b: Floats) -> float:
    """Spearman correlation; pairs that tie, rounding apart, share a rank."""
    return _pearson(_ranks(a), _ranks(b))


def _ranks(distances: Floats) -> Floats:
    """Ranks; equal distances differ in their last digits, as they come from sums over units."""
    order = np.argsort(distances)
    gaps = np.diff(distances[order], prepend=distances[order[:1]])
    level = np.empty(len(order), dtype=np.intp)
    level[order] = np.cumsum(gaps > _SAME_DISTANCE * np.abs(distances).max(initial=0.0))
    return np.asarray(rankdata(level))


_COMPARISONS: dict[str, Callable[[Floats, Floats], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "cosine": _cosine,
}

_RDMS: dict[str, Callable[[Population], Any]] = {
    "euclidean": _squared_distances,
    "correlation": _correlation_distances,
}

REFERENCES: dict[str, Callable[[Responses, Responses], float]] = {
    "cka": cka,
    "cka-debiased": partial(cka, debiased=True),
    "rsa-pearson": rsa,
    "rsa-spearman": partial(rsa, compare="spearman"),
    "rsa-cosine": partial(rsa, compare="cosine"),
    "mutual-knn": mutual_knn,
}
