"""Scores of clusters of units: how much their two parts share on test stimuli."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers
from ..base.draws import random_rotation
from ._bipartite_graph import NO_CLUSTER, Graph, rand_index
from ._cross_moments import CrossMoments
from ._graph_edges import GraphEdges, correlate_all
from ._subspaces import canonical_correlations, dimension, groups, matched, predicted
from ._two_populations import SIDES, TwoPopulations

__all__ = ["PAIRED", "halves_agree", "held_out_scores", "scores_of_each"]

PAIRED = ("matched", "matched_rotated", "predicted")


def scores_of_each(
    pair: TwoPopulations, labels: Integers, r: Floats, rotations: int, rng: np.random.Generator
) -> xr.Dataset:
    """Scores of each cluster, as in the docstring of `clusters`.

    Parameters
    ----------
    pair : TwoPopulations
        The populations whose units are clustered.
    labels : int array (p + q,)
        Cluster of each unit, -1 for none.
    r : float array (p, q)
        Correlations of the units.
    rotations : int
        Number of random rotations of the target's part of each cluster.
    rng : numpy.random.Generator
        Draws the rotations.
    """
    p = len(pair.source.units)
    folds, size = list(pair.train_and_test()), np.abs(r)
    own = [pair.moments.source_covariance, pair.moments.target_covariance]
    rows = []
    for cluster in range(labels.max() + 1):
        x, y = (np.flatnonzero(part == cluster) for part in (labels[:p], labels[p:]))
        shares = len(x) / r.shape[0], len(y) / r.shape[1]
        row: dict[str, Any] = {
            "n_units": [len(x), len(y)],
            "balance": min(shares) / max(shares),
            "dimension": [dimension(cov[np.ix_(i, i)]) for cov, i in zip(own, (x, y), strict=True)],
            "across": _across(size, x, y),
            "within": size[np.ix_(x, y)].mean() if len(x) and len(y) else np.nan,
        }
        rows.append(row | _paired(folds, x, y, rotations, rng))
    return _labelled(rows)


def _labelled(rows: list[dict[str, Any]]) -> xr.Dataset:
    """Scores of all clusters, along ``cluster``."""
    of_each = [row.pop("canonical") for row in rows]
    canonical = np.full((len(rows), max([1, *map(len, of_each)])), np.nan)
    for line, values in zip(canonical, of_each, strict=True):
        line[: len(values)] = values
    variables: dict[str, Any] = {
        name: (("cluster",), np.array([row[name] for row in rows], dtype=np.float64))
        for name in ("balance", "within", "across", *PAIRED)
    }
    for name, kind in (("n_units", np.intp), ("dimension", np.float64)):
        both = np.array([row[name] for row in rows], dtype=kind).reshape(-1, len(SIDES))
        variables[name] = ("cluster", "population"), both
    variables["canonical"] = ("cluster", "canonical_component"), canonical
    found = xr.Dataset(variables, {"cluster": range(len(rows)), "population": list(SIDES)})
    found["angle"] = np.degrees(np.arccos(found["canonical"].clip(0, 1)))
    found["canonical_mean"] = found["canonical"].mean("canonical_component")
    return found


def held_out_scores(
    pair: TwoPopulations, k: int, rule: GraphEdges, rotations: int, rng: np.random.Generator
) -> xr.Dataset:
    """Scores on test stimuli of clusters that are found on training stimuli: means of each fold."""
    p, names = len(pair.source.units), ("canonical", *PAIRED)
    means = np.full((len(names), len(pair.splits)), np.nan)
    for number, (train, test) in enumerate(pair.train_and_test() if k else ()):
        graph = rule.graph(train.correlation, train.n)
        if graph.empty:
            continue
        labels = graph.embedding(_within(k, graph)).clusters()
        scores, sizes = [], []
        for cluster in range(labels.max() + 1):
            x, y = (np.flatnonzero(part == cluster) for part in (labels[:p], labels[p:]))
            if len(x) and len(y):
                found = _paired([(train, test)], x, y, rotations, rng)
                scores.append([np.mean(found[name]) for name in names])
                sizes.append(len(x) + len(y))
        if sizes:
            means[:, number] = np.average(scores, axis=0, weights=sizes)
    return xr.Dataset(
        {f"{name}_held_out": ("fold", one) for name, one in zip(names, means, strict=True)}
    )


def halves_agree(
    pair: TwoPopulations,
    k: int,
    rule: GraphEdges,
    halves: int,
    rotations: int,
    rng: np.random.Generator,
) -> Iterator[tuple[float, float]]:
    """Adjusted Rand index and contrast of clusters of two halves; then with rotated axes."""
    x, y = (side.values for side in pair.sides)
    for number in range(halves + rotations):
        half = _half(pair, rng)
        axes = x if number < halves else x @ random_rotation(x.shape[1], rng)
        both = [correlate_all(axes[part], y[part]) for part in (half, ~half)]
        graphs = [
            rule.graph(r, int(part.sum())) for r, part in zip(both, (half, ~half), strict=True)
        ]
        one, other = (_labels(k, graph, sum(both[0].shape)) for graph in graphs)
        yield rand_index(one, other), _contrast(one, np.abs(both[1]))


def _labels(k: int, graph: Graph, n: int) -> Integers:
    """Cluster of each of n units; -1 for none, as with half the stimuli, or with rotated axes."""
    if graph.empty:
        return np.full(n, NO_CLUSTER, dtype=np.intp)
    return graph.embedding(_within(k, graph)).clusters()


def _paired(
    folds: Sequence[tuple[CrossMoments, CrossMoments]],
    x: Integers,
    y: Integers,
    rotations: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """How far both parts of a cluster share a subspace, and its axes, on test stimuli."""
    if not (len(x) and len(y)):
        return dict.fromkeys(PAIRED, np.nan) | {"canonical": np.zeros(0)}
    parts = groups(folds, x, y)
    rotated = [matched(parts, random_rotation(len(y), rng)) for _ in range(rotations)]
    return {
        "canonical": canonical_correlations(parts),
        "matched": matched(parts),
        "matched_rotated": float(np.mean(rotated)) if rotated else np.nan,
        "predicted": predicted(parts),
    }


def _across(size: Floats, x: Integers, y: Integers) -> float:
    """Mean absolute correlation of a cluster's units with units of the other side outside it."""
    total = size[x].sum() + size[:, y].sum() - 2 * size[np.ix_(x, y)].sum()
    count = len(x) * size.shape[1] + len(y) * size.shape[0] - 2 * len(x) * len(y)
    return float(total / count) if count else float("nan")


def _within(k: int, graph: Graph) -> int:
    """K, but no more than the connected units of a side."""
    return min(k, *(max(1, int(connected.sum())) for connected in graph.connected))


def _half(pair: TwoPopulations, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A random half of the stimuli (or images)."""
    member = np.arange(pair.n_stimuli)
    if pair.groups is not None:
        member = np.unique(pair.groups, return_inverse=True)[1]
    chosen = rng.permutation(int(member.max()) + 1)[: (int(member.max()) + 1) // 2]
    return np.isin(member, chosen)


def _contrast(labels: Integers, size: Floats) -> float:
    """Mean absolute correlation within clusters less that across clusters."""
    rows, columns = labels[: len(size), None], labels[len(size) :]
    inside = (rows == columns) & (rows >= 0)
    if not inside.any() or inside.all():
        return float("nan")
    return float(size[inside].mean() - size[~inside].mean())
