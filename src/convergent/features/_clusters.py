"""Many-to-many: groups of units of both networks that see the same, whatever their axes.

Units are the nodes of a bipartite graph, whose edges are correlations between the networks. Its
spectral clusters are scored: are they of both networks, do both parts span the same subspace, are
single units in it alike, and are they found again on other stimuli?
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from ..base.errors import InputError, unknown
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.folds import Folds
from ._bipartite_graph import NO_CLUSTER, Graph, from_largest
from ._cluster_scores import PAIRED, halves_agree, held_out_scores, scores_of_each
from ._graph_edges import KINDS, GraphEdges, chance_floor
from ._two_populations import SIDES, Pair, pair_of

__all__ = ["SEEDS", "cluster_table", "clusters"]

SEEDS = 5  # of random starts of k-means


def clusters(
    source: Assembly,
    target: Assembly,
    *,
    k: int | None = None,
    edges: Literal["absolute", "positive"] = "absolute",
    floor: float | None = None,
    folds: Folds = Folds(),
    halves: int = 3,
    rotations: int = 3,
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Cluster the units of two populations together, and score the clusters.

    With W the sizes of the correlations (p, q) between the populations, less what chance gives, and
    D the sums of its rows and columns, units are embedded by the first k singular vectors of
    :math:`D_s^{-1/2} W D_t^{-1/2}`, each unit's row at length 1: the first eigenvectors of the
    normalized Laplacian of the bipartite graph. Ward's method orders them in a tree, whose branches
    k-means makes better.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    k : int, optional
        Number of clusters; where left out, from 2 up, where the singular values fall most
        (eigengap).
    edges : {"absolute", "positive"}
        Whether a negative correlation ties units as a positive one does, or not at all.
    floor : float, optional
        What is taken off each correlation, also in halves and folds; less is no edge. Where left
        out, what the best
        correlation of 95% of the units stays below when stimuli are exchanged: so many units
        without counterpart have no edge, and are in no cluster. 0 leaves correlations as they are.
    folds : Folds
        For what is fitted to a cluster (canonical directions, partners), and scored on test
        stimuli.
    halves : int
        How often stimuli are halved, and either half clustered; 0 for no stability.
    rotations : int
        Random rotations for comparison; 0 for none.
    seed : int
        Draws exchanges, halves, rotations and k-means' random starts.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        Along ``unit`` the source's units, then the target's, told apart by ``side``: ``label``, the
        cluster, -1 for none; ``branch``, that of Ward's tree cut into as many; ``place``, order of
        its leaves. ``between`` (source_unit, target_unit): the correlations. Along ``cluster``,
        from the largest: ``n_units`` (cluster, population); ``balance``, the lesser share of a
        population's units over the greater (1 where either has its part, 0 where one has none);
        ``within`` and ``across``, mean size of the correlations of the cluster's units with units
        of the other population inside and outside; ``dimension`` (cluster, population),
        participation ratio of the variances along its axes; ``canonical`` (cluster, component),
        canonical correlations of the two parts on test stimuli, ``angle``, their arccos in degrees
        (the principal angles of what the parts span), and ``canonical_mean``; ``matched``, mean
        correlation of units paired one-to-one in the cluster, on test stimuli, and
        ``matched_rotated``, the same where the target's part spans the same subspace with random
        axes; ``predicted``, mean correlation there of the target's units with what the source's
        part predicts of them linearly. NaN where a cluster has no units of one side. As clusters
        are found on all stimuli, these are somewhat high where correlations are near chance;
        ``canonical_held_out`` (fold), ``matched_held_out``, ``matched_rotated_held_out`` and
        ``predicted_held_out`` are not: means, over units, of clusters of the training stimuli.
        ``singular_values`` (component). ``stability`` (half), adjusted Rand index of the clusters
        of two halves of the stimuli, and ``contrast`` (half), within less across for clusters of
        one half on the other; ``stability_rotated`` and ``contrast_rotated`` (rotation), the same
        where all axes of the source are rotated; ``stability_of_starts``, the mean index of k-means
        started at random from five seeds, and ``agreement_of_tree``, of the tree itself.

    Raises
    ------
    InputError
        Where k is less than 2 or more than the units of a side, or the populations do not fit.

    Warns
    -----
    UserWarning
        Where the graph falls into more parts than k, so that some are merged at random; where no
        correlation is above the floor, so that there are no clusters.

    References
    ----------
    Ng, Jordan and Weiss 2001, NIPS 14; Dhillon 2001, KDD (bipartite graphs); Hubert and Arabie
    1985, Journal of Classification 2 (adjusted Rand index); Li et al. 2015, arXiv 1511.07543.
    """
    _check(edges, floor, {"halves": halves, "rotations": rotations, "seed": seed})
    pair = pair_of(source, target, folds)
    rng = np.random.default_rng(seed)
    r = pair.moments.correlation
    if floor is None:
        rule = GraphEdges(edges, chance_floor(pair, edges, rng), len(pair.stimuli))
    else:
        rule = GraphEdges(edges, floor, None)
    graph = rule.graph(r, len(pair.stimuli))
    if graph.empty:
        warnings.warn(
            f"no correlation between {pair.source.name!r} and {pair.target.name!r} is above what "
            f"chance gives ({rule.floor:.2f}), so there are no clusters. If they are negative, "
            "take edges='absolute'; with more stimuli, weaker ones can be told from chance.",
            stacklevel=2,
        )
        k = halves = rotations = 0
    else:
        k = _number(k, graph, pair)
    found = _labelled(graph, k, seed) if k else _no_labels(sum(r.shape))
    labels = found["label"].values
    result = found.assign(between=(("source_unit", "target_unit"), r)).assign_coords(
        {"source_unit": pair.source.units, "target_unit": pair.target.units} | pair.unit_coords
    )
    result = result.merge(scores_of_each(pair, labels, r, rotations, rng))
    result = result.merge(held_out_scores(pair, k, rule, rotations, rng))
    n_half = halves + rotations
    halved = track(halves_agree(pair, k, rule, halves, rotations, rng), "halves", n_half, progress)
    scores = np.array(list(halved)).reshape(n_half, 2)
    for name, dim, part in (
        ("", "half", scores[:halves]),
        ("_rotated", "rotation", scores[halves:]),
    ):
        result[f"stability{name}"], result[f"contrast{name}"] = (dim, part[:, 0]), (dim, part[:, 1])
    return result.assign_attrs(pair.attrs, k=k, edges=edges, floor=rule.floor)


def cluster_table(found: xr.Dataset) -> pd.DataFrame:
    """Clusters and their scores: a row a cluster, from the largest.

    Parameters
    ----------
    found : xarray.Dataset
        From `clusters`.

    Returns
    -------
    pandas.DataFrame
        ``cluster``, ``n_source``, ``n_target``, ``balance``, ``within``, ``across``,
        ``dimension_source``, ``dimension_target``, ``canonical`` (mean, on test stimuli),
        ``angle`` (mean, in degrees), ``matched``, ``matched_rotated``, ``predicted``.
    """
    of_side = {
        f"{short}_{side}": found[name].sel(population=side).values
        for name, short in (("n_units", "n"), ("dimension", "dimension"))
        for side in SIDES
    }
    table = pd.DataFrame(
        {
            "cluster": found["cluster"].values,
            **of_side,
            "canonical": found["canonical_mean"].values,
            "angle": found["angle"].mean("canonical_component").values,
        }
    )
    for name in ("balance", "within", "across", *PAIRED):
        table[name] = found[name].values
    first = ["cluster", "n_source", "n_target", "balance", "within", "across"]
    return table[first + [name for name in table if name not in first]]


def _check(edges: object, floor: float | None, counts: dict[str, Any]) -> None:
    if edges not in KINDS:
        raise unknown("kind of edges", edges, KINDS)
    if floor is not None and not 0 <= floor < 1:
        raise InputError(f"floor={floor!r}: give a correlation from 0 to below 1.")
    for name, count in counts.items():
        if not isinstance(count, (int, np.integer)) or count < 0:
            raise InputError(f"{name}={count!r}: give a whole number from 0 up.")


def _labelled(graph: Graph, k: int, seed: int) -> xr.Dataset:
    """Clusters of all units, and how far they depend on how they are looked for."""
    embedding = graph.embedding(k)
    labels, tied = from_largest(embedding.clusters()), embedding.tied
    starts = [
        adjusted_rand_score(labels[tied], embedding.clusters(seed + i)[tied]) for i in range(SEEDS)
    ]
    return xr.Dataset(
        {
            "label": ("unit", labels),
            "branch": ("unit", from_largest(embedding.branches)),
            "place": ("unit", embedding.places),
            "singular_values": ("component", graph.singular_values),
            "stability_of_starts": float(np.mean(starts)),
            "agreement_of_tree": adjusted_rand_score(labels[tied], embedding.branches[tied]),
        }
    )


def _no_labels(n: int) -> xr.Dataset:
    """The same where no unit has an edge."""
    nobody = np.full(n, NO_CLUSTER, dtype=np.intp)
    return xr.Dataset(
        {
            "label": ("unit", nobody),
            "branch": ("unit", nobody),
            "place": ("unit", np.arange(n)),
            "singular_values": ("component", np.zeros(0)),
            "stability_of_starts": float("nan"),
            "agreement_of_tree": float("nan"),
        }
    )


def _number(k: int | None, graph: Graph, pair: Pair) -> int:
    """How many clusters."""
    values = graph.singular_values
    p, q = (int(tied.sum()) for tied in graph.tied)
    most = min(p, q)
    if k is not None and (not isinstance(k, (int, np.integer)) or not 2 <= k <= most):
        raise InputError(
            f"k={k!r}: of {len(pair.source.units)} source and {len(pair.target.units)} target "
            f"units, {p} and {q} have a correlation above chance, so "
            + (
                f"give a whole number from 2 to {most}, or leave k out."
                if most > 1
                else "leave k out."
            )
        )
    if k is None:
        gaps = -np.diff([*values[1:], 0.0])  # one cluster is no answer
        return int(gaps.argmax()) + 2 if len(gaps) > 1 else most
    if graph.parts > k:
        warnings.warn(
            f"the graph of correlations above chance falls into {graph.parts} parts, and k is {k}: "
            "some parts are merged at random. Leave k out, or give no less.",
            stacklevel=3,
        )
    return int(k)
