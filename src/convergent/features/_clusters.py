"""Many-to-many: groups of units of both populations that share a subspace, whatever its axes.

Units are the nodes of a bipartite graph, whose edges are correlations between the populations. Its
spectral clusters are scored: whether they have units of both populations, whether both parts span
the same subspace, whether single units in it are alike, and whether the same clusters are found on
other stimuli.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arguments import as_number, as_seed, as_whole, check_known
from ..base.compute import Compute
from ..base.errors import InputError, warn
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.kinds import check_kind
from ._bipartite_graph import NO_CLUSTER, Graph, from_largest, rand_index
from ._cluster_scores import PAIRED, halves_agree, held_out_scores, scores_of_each
from ._graph_edges import KINDS, GraphEdges, chance_floor
from ._results import OF_SCORES, result, used
from ._two_populations import SIDES, TwoPopulations, prepare

__all__ = ["ClusterOptions", "cluster_table", "clusters", "clusters_of"]

_SEEDS = 5  # of random starts of k-means


@dataclass(frozen=True)
class ClusterOptions:
    """Options of `clusters`, under the same names."""

    k: int | None = None
    edges: str = "absolute"
    floor: float | None = None
    halves: int = 3
    rotations: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_known("kind of edges", self.edges, KINDS)
        if self.k is not None:
            object.__setattr__(self, "k", as_whole("k", self.k, 2))
        if self.floor is not None:
            object.__setattr__(self, "floor", as_number("floor", self.floor, 0, 1 - 1e-9))
        for name in ("halves", "rotations"):
            object.__setattr__(self, name, as_whole(name, getattr(self, name), 0))
        object.__setattr__(self, "seed", as_seed(self.seed))


def clusters(
    source: Assembly,
    target: Assembly,
    *,
    k: int | None = None,
    edges: Literal["absolute", "positive"] = "absolute",
    floor: float | None = None,
    halves: int = 3,
    rotations: int = 3,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> xr.Dataset:
    r"""Cluster the units of two populations together, and score the clusters.

    Let W be the absolute correlations (p, q) between the populations, less a floor that chance
    reaches, and D the diagonal matrices of the sums of its rows and of its columns. Units are
    embedded by the first k singular vectors of :math:`D_s^{-1/2} W D_t^{-1/2}`, each unit's row at
    length 1: these are the first eigenvectors of the normalized Laplacian of the bipartite graph.
    Ward's method orders the units in a tree, and its k branches are the starting point of k-means.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    k : int, optional
        Number of clusters, 2 or more; by default where the singular values fall most (eigengap).
    edges : {"absolute", "positive"}
        Whether units with a negative correlation are connected as well, by its absolute value.
    floor : float, optional
        Subtracted from each correlation, also in halves and folds; units with a lower correlation
        are not connected. By default the value below which the best correlation of 95% of the units
        stays when stimuli are exchanged, so that 95% of the units without a counterpart are in no
        cluster. 0 leaves correlations as they are.
    halves : int
        Number of times that stimuli are split in halves and each half is clustered; 0 for none.
    rotations : int
        Number of random rotations, for comparison; 0 for none.
    seed : int
        Seed of the exchanges, halves, rotations and random starts of k-means.
    **settings : Settings
        ``folds``, for what is fitted to a cluster (canonical directions, partners) and scored on
        test stimuli, or ``protocol`` with them; ``study`` and ``progress``, or ``compute`` with
        these.

    Returns
    -------
    xarray.Dataset
        Along ``unit`` (units of the source, then of the target; coordinate ``side``):

        - ``label``: cluster of the unit, -1 for none.
        - ``branch``: its branch, when Ward's tree is cut into k; -1 for none.
        - ``place``: its place in the order of the tree's leaves.

        Along ``cluster``, from the largest; NaN if a cluster has no units of one side:

        - ``n_units`` (cluster, population): number of units.
        - ``balance``: the smaller over the larger share of a population's units that the cluster
          holds; 1 if both shares are equal, 0 if it has units of one side only.
        - ``within``, ``across``: mean absolute correlation of its units with units of the other
          population in the cluster, and outside.
        - ``dimension`` (cluster, population): participation ratio of the variances along principal
          axes.
        - ``canonical`` (cluster, canonical_component): canonical correlations of the two parts on
          test stimuli; ``angle``: their arccos in degrees (principal angles between the subspaces);
          ``canonical_mean``: their mean.
        - ``matched``: mean correlation on test stimuli of units paired one-to-one in the cluster;
          ``matched_rotated``: the same when the target's part is randomly rotated.
        - ``predicted``: mean correlation on test stimuli of the target's units with their linear
          prediction from the source's part.

        Clusters are found on all stimuli, so these scores are slightly too high where correlations
        are near chance. ``canonical_held_out``, ``matched_held_out``, ``matched_rotated_held_out``
        and ``predicted_held_out`` (fold) are not: they are means, weighted by the number of units,
        over clusters that are found on the training stimuli of each fold.

        On the reliability of the clusters, over all units; a unit in no cluster is a cluster of
        its own:

        - ``stability`` (half): adjusted Rand index of the clusters of two halves of the stimuli;
          about 0 if they are chance, NaN if neither half has a cluster.
        - ``contrast`` (half): within less across, for clusters of one half on the other half.
        - ``stability_rotated``, ``contrast_rotated`` (rotation): the same when the source is
          randomly rotated.
        - ``stability_of_starts``: mean adjusted Rand index with k-means from five random starts.
        - ``agreement_of_tree``: adjusted Rand index with the branches of the tree. Both are of the
          same stimuli, so where clusters are chance they say nothing: they are NaN if, with the
          default floor, no more units are in a cluster than by chance (more than five standard
          errors above 5%).

        ``between`` (source_unit, target_unit): correlations. ``singular_values`` (component).
        Attrs: ``k``, ``edges``, ``floor``, ``n_stimuli``, ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If k is below 2 or above the number of connected units of a side, another option is out of
        its range, or the populations do not fit.

    Warns
    -----
    UserWarning
        If the graph has more than k separate parts, so that some are merged at random; if no
        correlation is above the floor, so that there are no clusters.

    References
    ----------
    Ng, Jordan and Weiss 2001, NIPS 14; Dhillon 2001, KDD (bipartite graphs); Hubert and Arabie
    1985, Journal of Classification 2 (adjusted Rand index); Li, Yosinski, Clune, Lipson and
    Hopcroft 2015, arXiv 1511.07543.

    Examples
    --------
    >>> import convergent as cv
    >>> a, b = cv.simulate.convergent_pair(300, 16, shares=(0, 0, 1), block=8, private=0)
    >>> found = cv.features.clusters(a, b, halves=1, rotations=1)
    >>> cv.features.cluster_table(found)[["n_source", "n_target", "canonical", "matched"]].round(1)
       n_source  n_target  canonical  matched
    0         8         8        0.9      0.5
    1         8         8        0.9      0.5
    """
    protocol, compute = settle(
        settings, usual=Protocol(), without=(*OF_SCORES, "shuffle", "bootstrap")
    )
    options = ClusterOptions(k, edges, floor, halves, rotations, seed)
    return clusters_of(prepare(source, target, protocol.folds), protocol, compute, options)


def clusters_of(
    pair: TwoPopulations, protocol: Protocol, compute: Compute, options: ClusterOptions
) -> xr.Dataset:
    """Cluster units, as `clusters` does, of prepared populations."""
    make = partial(_clusters, pair, options, compute.progress)
    return result("clusters", pair, make, compute, used(protocol, "folds") | asdict(options))


def _clusters(pair: TwoPopulations, options: ClusterOptions, progress: bool | None) -> xr.Dataset:
    rng = np.random.default_rng(options.seed)
    r = pair.moments.correlation
    if options.floor is None:
        rule = GraphEdges(options.edges, chance_floor(pair, options.edges, rng), pair.n_stimuli)
    else:
        rule = GraphEdges(options.edges, options.floor, None)
    graph = rule.graph(r, pair.n_stimuli)
    if graph.empty:
        _warn_of_no_edges(pair, rule.floor)
        k, found = 0, _no_labels(sum(r.shape))
        options = replace(options, halves=0, rotations=0)
    else:
        k = _number(options.k, graph, pair)
        found = _labelled(graph, k, options.seed, rule.above_chance(graph))
    labels = found["label"].values
    found = found.assign(between=(("source_unit", "target_unit"), r)).assign_coords(
        {"source_unit": pair.source.units, "target_unit": pair.target.units} | pair.unit_coords
    )
    found = found.merge(scores_of_each(pair, labels, r, options.rotations, rng))
    found = found.merge(held_out_scores(pair, k, rule, options.rotations, rng))
    found = found.merge(_of_halves(pair, k, rule, options, rng, progress))
    return found.assign_attrs(k=k, edges=options.edges, floor=rule.floor)


def cluster_table(found: xr.Dataset) -> pd.DataFrame:
    """Tabulate clusters and their scores: one row per cluster, from the largest.

    Parameters
    ----------
    found : xarray.Dataset
        From `clusters`.

    Returns
    -------
    pandas.DataFrame
        ``cluster``; ``n_source`` and ``n_target``, numbers of units; ``canonical``, mean canonical
        correlation, and ``angle``, mean principal angle in degrees; the others as in `clusters`:
        ``balance``, ``within``, ``across``, ``dimension_source``, ``dimension_target``,
        ``matched``, ``matched_rotated``, ``predicted``.
    """
    check_kind(found, "clusters", "features.cluster_table")
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


def _labelled(graph: Graph, k: int, seed: int, above_chance: bool) -> xr.Dataset:
    """Clusters of all units, and how far they depend on the starting point of k-means."""
    embedding = graph.embedding(k)
    labels, branches = from_largest(embedding.clusters()), embedding.branches
    starts = [embedding.clusters(seed + i) for i in range(_SEEDS)]
    *of_starts, of_tree = (
        rand_index(labels, other) if above_chance else np.nan for other in (*starts, branches)
    )
    return xr.Dataset(
        {
            "label": ("unit", labels),
            "branch": ("unit", from_largest(branches)),
            "place": ("unit", embedding.places),
            "singular_values": ("component", graph.singular_values),
            "stability_of_starts": float(np.mean(of_starts)),
            "agreement_of_tree": of_tree,
        }
    )


def _no_labels(n: int) -> xr.Dataset:
    """The same if no unit has an edge."""
    none = np.full(n, NO_CLUSTER, dtype=np.intp)
    return xr.Dataset(
        {
            "label": ("unit", none),
            "branch": ("unit", none),
            "place": ("unit", np.arange(n)),
            "singular_values": ("component", np.zeros(0)),
            "stability_of_starts": float("nan"),
            "agreement_of_tree": float("nan"),
        }
    )


def _of_halves(
    pair: TwoPopulations,
    k: int,
    rule: GraphEdges,
    options: ClusterOptions,
    rng: np.random.Generator,
    progress: bool | None,
) -> xr.Dataset:
    """Stability and contrast over halves of the stimuli, also with rotated axes."""
    halves, rotations = options.halves, options.rotations
    n = halves + rotations
    steps = track(halves_agree(pair, k, rule, halves, rotations, rng), "halves", n, progress)
    scores = np.array(list(steps)).reshape(n, 2)
    variables: dict[str, Any] = {}
    for suffix, dim, part in (
        ("", "half", scores[:halves]),
        ("_rotated", "rotation", scores[halves:]),
    ):
        variables[f"stability{suffix}"] = dim, part[:, 0]
        variables[f"contrast{suffix}"] = dim, part[:, 1]
    return xr.Dataset(variables)


def _number(k: int | None, graph: Graph, pair: TwoPopulations) -> int:
    """Number of clusters: k if it is given and possible, else by eigengap."""
    values = graph.singular_values
    p, q = (int(connected.sum()) for connected in graph.connected)
    most = min(p, q)
    if k is not None and (not isinstance(k, (int, np.integer)) or not 2 <= k <= most):
        remedy = f"give a whole number from 2 to {most}, or leave k out."
        raise InputError(
            f"k={k!r}: of {len(pair.source.units)} source and {len(pair.target.units)} target "
            f"units, {p} and {q} have a correlation above chance, so "
            + (remedy if most > 1 else "leave k out.")
        )
    if k is None:
        gaps = -np.diff([*values[1:], 0.0])  # one cluster is no answer
        return int(gaps.argmax()) + 2 if len(gaps) > 1 else most
    if graph.parts > k:
        warn(
            f"the graph of correlations above chance falls into {graph.parts} parts, and k is {k}: "
            "some parts are merged at random. Leave k out, or give a larger one."
        )
    return int(k)


def _warn_of_no_edges(pair: TwoPopulations, floor: float) -> None:
    warn(
        f"no correlation between {pair.source.name!r} and {pair.target.name!r} is above what "
        f"chance gives ({floor:.2f}), so there are no clusters. If they are negative, "
        "take edges='absolute'; with more stimuli, weaker correlations exceed chance."
    )
