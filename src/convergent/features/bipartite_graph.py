"""Units of two networks as a graph whose edges are correlations between them; its clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import svds
from sklearn.cluster import KMeans

from ..errors import InputError

__all__ = ["NO_CLUSTER", "Graph", "Tree", "from_largest"]

NO_CLUSTER = -1
FEW = 8  # times fewer vectors than units: these are found by iteration
STARTS = 10  # of k-means

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tree:
    """Ward's hierarchical clustering of an embedding.

    Attributes
    ----------
    branch : int array (p + q,)
        Cluster of each unit, where the tree is cut into k; -1 for units without an edge.
    place : int array (p + q,)
        Place of each unit among the leaves; units without an edge come last.
    """

    branch: Integers
    place: Integers


@dataclass(frozen=True, eq=False)
class Graph:
    """A bipartite graph of units.

    Attributes
    ----------
    weights : float array (p, q)
        How strongly each source unit is tied to each target unit, 0 or more.
    """

    weights: Floats

    @classmethod
    def of(cls, r: Floats, edges: str, floor: float) -> Graph:
        """Correlations (p, q), or their sizes, less a floor; what is below is no edge."""
        return cls(np.maximum((np.abs(r) if edges == "absolute" else r) - floor, 0.0))

    @property
    def tied(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Units of either side that have an edge."""
        edge = self.weights > 0
        return np.asarray(edge.any(1)), np.asarray(edge.any(0))

    @property
    def parts(self) -> int:
        """Into how many parts without edges between them the graph falls."""
        rows, columns = self.tied
        inner = scipy.sparse.csr_array(self.weights[np.ix_(rows, columns)])
        return int(
            connected_components(scipy.sparse.block_array([[None, inner], [inner.T, None]]))[0]
        )

    def singular_values(self) -> Floats:
        """Of the normalized weights, largest first; the first is 1."""
        return np.asarray(scipy.linalg.svdvals(self._normalized()))

    def embedding(self, k: int) -> tuple[Floats, NDArray[np.bool_]]:
        r"""Place of each unit that has an edge in k dimensions, and which units these are.

        The first k singular vectors of :math:`D_s^{-1/2} W D_t^{-1/2}`, with degrees D, are the
        first eigenvectors of the normalized adjacency of the whole graph; each unit's row is
        brought to length 1.

        References
        ----------
        Ng, Jordan and Weiss 2001, NIPS 14; Dhillon 2001, KDD.
        """
        normalized = self._normalized()
        if FEW * k < min(normalized.shape):
            start = np.ones(min(normalized.shape))  # the same each time
            left, values, right = svds(normalized, k, v0=start)
        else:
            left, values, right = scipy.linalg.svd(normalized, full_matrices=False)
        first = np.argsort(-values, kind="stable")[:k]
        rows = np.concatenate([left[:, first], right[first].T])
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(length > 0, length, 1.0), np.concatenate(self.tied)

    def labels(self, k: int, seed: int) -> Integers:
        """Cluster of each unit (p + q,), source units first, by k-means; -1 without an edge.

        Of several random starts, and one from Ward's tree, which does better where clusters are
        many, the tightest.
        """
        rows, tied = self.embedding(k)
        found = np.full(len(tied), NO_CLUSTER, dtype=np.intp)
        branch = fcluster(linkage(rows, "ward"), k, "maxclust") - 1
        centres = np.stack([rows[branch == one].mean(0) for one in np.unique(branch)])
        fits = [
            KMeans(k, n_init=STARTS, random_state=seed).fit(rows),
            KMeans(len(centres), init=centres, n_init=1).fit(rows),
        ]
        found[tied] = min(fits, key=lambda fit: fit.inertia_).labels_
        return found

    def tree(self, k: int) -> Tree:
        """Hierarchical clustering of the same embedding."""
        rows, tied = self.embedding(k)
        links = linkage(rows, "ward")
        branch = np.full(len(tied), NO_CLUSTER, dtype=np.intp)
        branch[tied] = fcluster(links, k, "maxclust") - 1
        order = np.concatenate([np.flatnonzero(tied)[leaves_list(links)], np.flatnonzero(~tied)])
        place = np.empty(len(tied), dtype=np.intp)
        place[order] = np.arange(len(tied))
        return Tree(branch, place)

    def _normalized(self) -> Floats:
        rows, columns = self.tied
        inner = self.weights[np.ix_(rows, columns)]
        if not inner.size:
            raise InputError(
                "no correlation between the populations is above what chance gives: there is "
                "nothing to cluster. If correlations are negative, take edges='absolute'; with "
                "more stimuli, weaker ones can be told from chance."
            )
        return np.asarray(
            inner / np.sqrt(inner.sum(1, keepdims=True)) / np.sqrt(inner.sum(0, keepdims=True))
        )


def from_largest(labels: Integers) -> Integers:
    """The same clusters, numbered from the largest."""
    names, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = names[np.lexsort((first, -counts))]
    number = np.full(int(labels.max(initial=0)) + 2, NO_CLUSTER, dtype=np.intp)
    number[order] = np.arange(len(order))
    return np.asarray(np.where(labels >= 0, number[labels], NO_CLUSTER))
