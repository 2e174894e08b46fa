"""Edges of the graph of units: correlations between two populations that are above chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.arrays import Floats, Integers, centre
from ._bipartite_graph import Graph
from ._cross_moments import correlation
from ._two_populations import TwoPopulations

__all__ = ["KINDS", "GraphEdges", "chance_floor", "correlate_all"]

KINDS = ("absolute", "positive")
_CHANCE = 0.95  # share of units without a counterpart that have no edge
_EXCHANGES = 3  # of stimuli, to find how high correlations get by chance
_ERRORS = 5  # standard errors of a share that is above chance


@dataclass(frozen=True)
class GraphEdges:
    """Rule for edges: correlations above a floor, which falls with the root of the stimuli.

    Attributes
    ----------
    kind : {"absolute", "positive"}
        Whether a negative correlation counts by its absolute value, or not at all.
    floor : float
        Subtracted from each correlation.
    n_stimuli : int or None
        Number of stimuli for which the floor is the chance level; None for a constant floor.
    """

    kind: str
    floor: float
    n_stimuli: int | None

    def graph(self, r: Floats, n_stimuli: int) -> Graph:
        """Graph from correlations (p, q) over this number of stimuli."""
        more = (self.n_stimuli / n_stimuli) ** 0.5 if self.n_stimuli else 1.0
        return Graph.of(r, self.kind, self.floor * more)

    def above_chance(self, graph: Graph) -> bool:
        """Whether more units have an edge than by chance; True for a constant floor.

        By chance 5% have one, on average. An edge connects two units, and the floor is itself
        estimated from few exchanges, so the variance of this share is larger than the binomial.
        """
        if self.n_stimuli is None:
            return True
        connected = np.concatenate(graph.connected)
        variance = 2 * (1 + 1 / _EXCHANGES) * _CHANCE * (1 - _CHANCE) / len(connected)
        return bool(connected.mean() > 1 - _CHANCE + _ERRORS * variance**0.5)


def chance_floor(pair: TwoPopulations, kind: str, rng: np.random.Generator) -> float:
    """Value below which the best correlation of 95% of units stays when stimuli are exchanged."""
    x, y = (side.values[:, ~side.silent] for side in pair.sides)
    best = []
    for _ in range(_EXCHANGES):
        r = correlate_all(x, y[_order(pair, rng)])
        size = np.abs(r) if kind == "absolute" else r
        best += [size.max(0), size.max(1)]
    return float(np.clip(np.quantile(np.concatenate(best), _CHANCE), 0, 1))


def correlate_all(x: Floats, y: Floats) -> Floats:
    """Pearson r (p, q) of all units; 0 for silent ones."""
    n = len(x)
    (_, x, x_length), (_, y, y_length) = centre(x), centre(y)
    return correlation(x.T @ y / n, x_length**2 / n, y_length**2 / n)


def _order(pair: TwoPopulations, rng: np.random.Generator) -> Integers:
    """Random order of the stimuli, in which groups stay together."""
    if pair.groups is None:
        return rng.permutation(pair.n_stimuli)
    _, member, sizes = np.unique(pair.groups, return_inverse=True, return_counts=True)
    places = np.argsort(member, kind="stable")
    order = np.empty(len(member), dtype=np.intp)
    if sizes.min() < sizes.max():  # groups cannot change places: shift all of them
        order[places] = np.roll(places, int(rng.integers(1, len(member))))
    else:
        blocks = places.reshape(len(sizes), -1)
        order[blocks] = blocks[rng.permutation(len(sizes))]
    return order
