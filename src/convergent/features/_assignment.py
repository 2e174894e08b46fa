"""Partners of units from their similarity: one-to-one, or each with its best."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..base.arrays import Floats, Integers

__all__ = ["LEAST_EFFECTIVE", "MATCHINGS", "NO_PARTNER", "bipartite", "partners", "semi"]

MATCHINGS = ("bipartite", "semi")
NO_PARTNER = -1
LEAST_EFFECTIVE = 5  # test stimuli: a correlation of partners over fewer has no interval and no p


def bipartite(weights: Floats) -> tuple[Integers, Integers]:
    r"""One-to-one matching with the greatest total weight.

    .. math:: \max_{\pi} \sum_i w_{i \pi(i)}, \quad \pi \text{ one-to-one}.

    Parameters
    ----------
    weights : float array (p, q)
        Similarity of each source unit and each target unit; may be negative.

    Returns
    -------
    of_source : int array (p,)
        Partner of each source unit; -1 for units without one, where p > q.
    of_target : int array (q,)
        Partner of each target unit; -1 for units without one, where q > p.

    References
    ----------
    Crouse 2016, IEEE Transactions on Aerospace and Electronic Systems 52 (the algorithm in scipy);
    Li et al. 2015, arXiv 1511.07543.
    """
    rows, columns = linear_sum_assignment(weights, maximize=True)
    of_source, of_target = (np.full(size, NO_PARTNER, dtype=np.intp) for size in weights.shape)
    of_source[rows], of_target[columns] = columns, rows
    return of_source, of_target


def semi(weights: Floats) -> tuple[Integers, Integers]:
    """Semi-matching: each unit with the most similar unit of the other side; several may share one.

    Parameters
    ----------
    weights : float array (p, q)
        Similarity of each source unit and each target unit.

    Returns
    -------
    of_source : int array (p,)
        Best partner of each source unit.
    of_target : int array (q,)
        Best partner of each target unit.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    return weights.argmax(1), weights.argmax(0)


def partners(weights: Floats) -> Integers:
    """Partners by each of `MATCHINGS`, (2, p + q): of source units, then of target units."""
    return np.stack([np.concatenate(found) for found in (bipartite(weights), semi(weights))])
