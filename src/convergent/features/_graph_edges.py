"""Which correlations between two populations tie their units in a graph: those above chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.arrays import Floats, Integers
from ._bipartite_graph import Graph
from ._cross_moments import correlation
from ._two_populations import Pair

__all__ = ["CHANCE", "EXCHANGES", "KINDS", "GraphEdges", "chance_floor", "correlate_all"]

KINDS = ("absolute", "positive")
CHANCE = 0.95  # of units without counterpart that have no edge
EXCHANGES = 3  # of stimuli, to find how strong their best correlation is


@dataclass(frozen=True)
class GraphEdges:
    """Which correlations tie units: above chance, which falls with the root of the stimuli."""

    kind: str
    floor: float
    n_stimuli: int | None  # of which the floor is chance; None where it is given

    def graph(self, r: Floats, n_stimuli: int) -> Graph:
        """The graph of correlations over so many stimuli."""
        more = (self.n_stimuli / n_stimuli) ** 0.5 if self.n_stimuli else 1.0
        return Graph.of(r, self.kind, self.floor * more)


def chance_floor(pair: Pair, kind: str, rng: np.random.Generator) -> float:
    """What the best correlation of most units stays below where stimuli are exchanged."""
    x, y = (side.values[:, ~side.silent] for side in pair.sides)
    best = []
    for _ in range(EXCHANGES):
        r = correlate_all(x, y[_order(pair, rng)])
        size = np.abs(r) if kind == "absolute" else r
        best += [size.max(0), size.max(1)]
    return float(np.clip(np.quantile(np.concatenate(best), CHANCE), 0, 1))


def correlate_all(x: Floats, y: Floats) -> Floats:
    """Pearson r (p, q) of all units; 0 of silent ones."""
    n = len(x)
    x, y = x - x.mean(0), y - y.mean(0)
    variances = [(side**2).sum(0) / n for side in (x, y)]
    responsive = [np.where(variance > 1e-12, variance, 0.0) for variance in variances]
    return correlation(x.T @ y / n, *responsive)


def _order(pair: Pair, rng: np.random.Generator) -> Integers:
    if pair.groups is None:
        return rng.permutation(len(pair.stimuli))
    _, member, sizes = np.unique(pair.groups, return_inverse=True, return_counts=True)
    places = np.argsort(member, kind="stable")
    order = np.empty(len(member), dtype=np.intp)
    if sizes.min() < sizes.max():  # groups cannot change places: move all of them along
        order[places] = np.roll(places, int(rng.integers(1, len(member))))
    else:
        blocks = places.reshape(len(sizes), -1)
        order[blocks] = blocks[rng.permutation(len(sizes))]
    return order
