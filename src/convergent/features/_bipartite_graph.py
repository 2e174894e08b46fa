"""Units of two populations as a bipartite graph with correlations as edges; its clusters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from ..base.arrays import Floats, Integers

__all__ = ["NO_CLUSTER", "Embedding", "Graph", "from_largest", "rand_index"]

NO_CLUSTER = -1
_ROUNDING = 1e-7  # of a singular value


@dataclass(frozen=True, eq=False)
class Embedding:
    """Coordinates of units in k dimensions, of which k clusters are made.

    Attributes
    ----------
    rows : float array (m, k)
        Coordinates of the units that have an edge, source units first.
    connected : bool array (p + q,)
        Whether each unit has an edge.
    k : int
        Number of clusters.
    """

    rows: Floats
    connected: NDArray[np.bool_]
    k: int

    def clusters(self, seed: int | None = None) -> Integers:
        """Cluster of each unit (p + q,), by k-means; -1 without an edge.

        Without a seed k-means starts from the branches of Ward's tree, which is better than random
        starts if there are many clusters; with a seed it starts from random units.
        """
        if seed is not None:
            fit = KMeans(self.k, n_init=1, random_state=seed).fit(self.rows)
        else:
            branch = self.branches[self.connected]
            centres = np.stack([self.rows[branch == one].mean(0) for one in np.unique(branch)])
            fit = KMeans(len(centres), init=centres, n_init=1).fit(self.rows)
        return self._of_all(fit.labels_)

    @cached_property
    def branches(self) -> Integers:
        """Branch of each unit (p + q,) when Ward's tree is cut into k; -1 without an edge."""
        return self._of_all(fcluster(self._links, self.k, "maxclust") - 1)

    @property
    def places(self) -> Integers:
        """Place of each unit in the order of the tree's leaves; units without an edge are last."""
        leaves = np.flatnonzero(self.connected)[leaves_list(self._links)]
        places = np.empty(len(self.connected), dtype=np.intp)
        places[np.concatenate([leaves, np.flatnonzero(~self.connected)])] = np.arange(len(places))
        return places

    @cached_property
    def _links(self) -> Floats:
        # rows have length 1, so their distances follow from products, which are faster
        squares = np.maximum(2 - 2 * (self.rows @ self.rows.T), 0.0)
        return np.asarray(linkage(squareform(np.sqrt(squares), checks=False), "ward"))

    def _of_all(self, labels: NDArray[Any]) -> Integers:
        found = np.full(len(self.connected), NO_CLUSTER, dtype=np.intp)
        found[self.connected] = labels
        return found


@dataclass(frozen=True, eq=False)
class Graph:
    """A bipartite graph of units.

    Attributes
    ----------
    weights : float array (p, q)
        Weight of the edge between each source unit and each target unit, 0 or more.
    """

    weights: Floats

    @classmethod
    def of(cls, r: Floats, edges: str, floor: float) -> Graph:
        """Graph from correlations (p, q), or their absolute values, less a floor; none below 0."""
        return cls(np.maximum((np.abs(r) if edges == "absolute" else r) - floor, 0.0))

    @property
    def empty(self) -> bool:
        """Whether no edge exists."""
        return not (self.weights > 0).any()

    @property
    def connected(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each source unit, and each target unit, has an edge."""
        edge = self.weights > 0
        return np.asarray(edge.any(1)), np.asarray(edge.any(0))

    @property
    def parts(self) -> int:
        """Number of parts that no edge connects."""
        rows, columns = self.connected
        inner = scipy.sparse.csr_array(self.weights[np.ix_(rows, columns)])
        return int(
            connected_components(scipy.sparse.block_array([[None, inner], [inner.T, None]]))[0]
        )

    @property
    def singular_values(self) -> Floats:
        """Singular values of the normalized weights, largest first; the first is 1."""
        return self._axes[0]

    def embedding(self, k: int) -> Embedding:
        r"""Coordinates in k dimensions of each unit that has an edge.

        The first k singular vectors of :math:`D_s^{-1/2} W D_t^{-1/2}`, with degrees D, are the
        first eigenvectors of the normalized adjacency of the whole graph; each unit's row is
        scaled to length 1.

        References
        ----------
        Ng, Jordan and Weiss 2001, NIPS 14; Dhillon 2001, KDD.
        """
        _, left, right = self._axes
        rows = np.concatenate([left[:, :k], right[:, :k]])
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(length > 0, length, 1.0)
        return Embedding(rows, np.concatenate(self.connected), k)

    @cached_property
    def _axes(self) -> tuple[Floats, Floats, Floats]:
        """Singular values and vectors of the normalized weights; those near 0 are rounding."""
        normalized = self._normalized()
        wide = normalized.shape[0] > normalized.shape[1]
        short = normalized.T if wide else normalized
        # from products of the smaller side: many times faster than from the weights themselves
        squares, one = scipy.linalg.eigh(short @ short.T, driver="evd")
        values, one = np.sqrt(np.maximum(squares[::-1], 0.0)), one[:, ::-1]
        other = short.T @ one / np.maximum(values, _ROUNDING)
        return (values, other, one) if wide else (values, one, other)

    def _normalized(self) -> Floats:
        rows, columns = self.connected
        inner = self.weights[np.ix_(rows, columns)]
        return np.asarray(
            inner / np.sqrt(inner.sum(1, keepdims=True)) / np.sqrt(inner.sum(0, keepdims=True))
        )


def rand_index(one: Integers, other: Integers) -> float:
    """Adjusted Rand index of two clusterings of all units.

    Each unit without a cluster is a cluster of its own, so that two clusterings of different units
    do not agree. NaN if no unit has a cluster in either.
    """
    if (one < 0).all() and (other < 0).all():
        return float("nan")
    apart = -1 - np.arange(len(one))
    return float(
        adjusted_rand_score(*(np.where(labels < 0, apart, labels) for labels in (one, other)))
    )


def from_largest(labels: Integers) -> Integers:
    """Clusters numbered from the largest."""
    names, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = names[np.lexsort((first, -counts))]
    number = np.full(int(labels.max(initial=0)) + 2, NO_CLUSTER, dtype=np.intp)
    number[order] = np.arange(len(order))
    return np.asarray(np.where(labels >= 0, number[labels], NO_CLUSTER))
