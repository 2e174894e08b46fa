"""All questions about units at once, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Unpack

import xarray as xr

from ..base.arguments import as_whole
from ..base.compute import Compute
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.resampling import Bootstrap, Shuffle
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.inputs import as_populations
from ..scoring.provenance import hashes_of, provenance
from ._claims import claims
from ._clusters import ClusterOptions, clusters_of
from ._correlations import correlations_of
from ._locality import along_layers, locality_of
from ._matching import matches_of
from ._overview_tables import Overview, layer_numbers
from ._partial_matching import partial_matching_of
from ._results import OF_SCORES, used
from ._sparse_prediction import LEAST_FOLDS, sparse_prediction_of
from ._two_populations import TwoPopulations, prepare

__all__ = ["STEPS", "overview"]

STEPS = ("correlations", "matches", "sparse", "clusters", "partial", "locality")


def overview(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    *,
    k: int | None = None,
    rotations: int = 20,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> Overview:
    """Ask all questions about the units of two networks, or of a network and a recording.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Layers at the same place of both are compared; a single population is compared with each
        layer of the other side.
    k : int, optional
        Number of clusters; by default by eigengap, as in `clusters`.
    rotations : int
        Number of random rotations in `local_or_distributed`.
    seed : int
        Seed of these rotations, and of the random draws of `clusters`.
    **settings : Settings
        ``folds``, three or more; ``shuffle`` (default ``Shuffle(20)``) and ``bootstrap`` (default
        ``Bootstrap(200)``), as in `match_units`; or ``protocol`` with these. ``study``, a folder
        that keeps each finished step, so that an interrupted call continues where it stopped;
        ``progress``; or ``compute`` with these.

    Returns
    -------
    Overview
        Numbers by layer, all results, and the claims.

    Raises
    ------
    InputError
        If both sides have several layers, and not equally many; if populations do not fit; if
        folds or shuffles are too few.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.

    Examples
    --------
    >>> import convergent as cv
    >>> a, b = cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)
    >>> few = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(20), "rotations": 2}
    >>> found = cv.features.overview({"layer1": a}, b, **few)
    >>> found.layers["semi"].round(1).values.tolist()  # mean r with the best partner
    [0.7]
    >>> found.table("units").columns[:4].tolist()
    ['layer', 'side', 'unit', 'partner']
    """
    protocol, compute = settle(
        settings,
        usual=Protocol(shuffle=Shuffle(20), bootstrap=Bootstrap(200)),
        without=OF_SCORES,
    )
    _check(protocol)
    options, rotations = ClusterOptions(k, seed=seed), as_whole("rotations", rotations)
    plan = _Plan(protocol, replace(compute, progress=False), options, rotations)
    sources, targets = as_populations("source", source), as_populations("target", target)
    pairs = _pairs(sources, targets)
    hashes = hashes_of(sources=sources, targets=targets)

    def work() -> Iterator[tuple[str, str, TwoPopulations]]:
        for layer, (one, other) in pairs.items():
            known = hashes["sources"][one], hashes["targets"][other]
            pair = prepare(sources[one], targets[other], protocol.folds, known)
            yield from ((layer, step, pair) for step in STEPS)

    steps: dict[str, dict[str, xr.Dataset]] = {layer: {} for layer in pairs}
    for layer, step, pair in track(work(), "features", len(pairs) * len(STEPS), compute.progress):
        steps[layer][step] = plan.result(step, pair, (layer, pairs[layer][1]), steps[layer])
    layers = along_layers(
        {layer: layer_numbers(of) for layer, of in steps.items()},
        [goal for _, goal in pairs.values()],
    )
    layers.attrs["n_stimuli"] = next(iter(steps.values()))["matches"].attrs["n_stimuli"]
    own = used(protocol, "folds", "shuffle", "bootstrap") | {"k": k, "rotations": rotations}
    attrs = provenance(
        "overview", hashes, settings=own | {"seed": seed}, sources=sources, targets=targets
    )
    layers = layers.assign_attrs(attrs)
    return Overview(layers, steps, claims(layers))


@dataclass(frozen=True)
class _Plan:
    """Settings of all steps."""

    protocol: Protocol
    compute: Compute
    clusters: ClusterOptions
    rotations: int

    def result(
        self,
        step: str,
        pair: TwoPopulations,
        names: tuple[str, str],
        done: Mapping[str, xr.Dataset],
    ) -> xr.Dataset:
        """Result of one step, for layers of these names; earlier steps are done."""
        common = pair, self.protocol, self.compute
        makers: dict[str, Callable[[], xr.Dataset]] = {
            "correlations": lambda: correlations_of(pair, self.compute),
            "matches": lambda: matches_of(*common),
            "sparse": lambda: sparse_prediction_of(*common),
            "clusters": lambda: clusters_of(*common, self.clusters),
            "partial": lambda: partial_matching_of(*common),
            "locality": lambda: locality_of(
                *common, done["sparse"], self.rotations, self.clusters.seed
            ),
        }
        found = makers[step]()
        if step == "locality":
            return along_layers({names[0]: found}, [names[1]]).assign_attrs(found.attrs)
        return found


def _check(protocol: Protocol) -> None:
    samples = protocol.shuffle.samples if protocol.shuffle else 0
    if protocol.folds.n < LEAST_FOLDS or samples < 2:
        raise InputError(
            f"{protocol.folds.n} folds and {samples} shuffle(s): sparse prediction needs "
            f"{LEAST_FOLDS} folds or more, and p of single units two shuffles or more."
        )
    if protocol.bootstrap is None:
        raise InputError("units are classified by their intervals: give bootstrap=Bootstrap(200).")


def _pairs(
    sources: Mapping[str, Assembly], targets: Mapping[str, Assembly]
) -> dict[str, tuple[str, str]]:
    """Names of the source and of the target that are compared, by the name of the layer."""
    if len(targets) == 1:
        return {one: (one, goal) for one in sources for goal in targets}
    if len(sources) == 1:
        return {goal: (one, goal) for one in sources for goal in targets}
    if len(sources) != len(targets):
        raise InputError(
            f"there are {len(sources)} source and {len(targets)} target layers: those at the same "
            "place are compared, so give as many of both, or one of either."
        )
    return {one: (one, goal) for one, goal in zip(sources, targets, strict=True)}
