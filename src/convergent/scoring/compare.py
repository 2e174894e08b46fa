"""Populations compared with each other, both ways at once: networks with networks, brains too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import xarray as xr

from ..base.errors import unknown
from ..base.progress import track
from ..data.assembly import Assembly
from ..metrics.distances import angle, angular, chord, euclidean, soft_matching
from ..metrics.linear import Linear
from ..metrics.population import Population, PopulationFold
from ..metrics.procrustes import Procrustes
from ..metrics.references import REFERENCES
from ..metrics.soft_matching import SoftMatching
from ..protocol.folds import Folds, check_folds
from ..statistics.aggregation import FoldMean, median
from .inputs import aligned, complete_population, group_labels, named
from .provenance import hashes_of, provenance

__all__ = ["MEASURES", "OF_REFERENCES", "Views", "compare"]

# name: kind, role, cross-validated
MEASURES = {
    "linear-forward": ("similarity", "metric", True),
    "linear-backward": ("similarity", "metric", True),
    "linear": ("similarity", "metric", True),
    "procrustes-angle": ("distance", "metric", False),
    "procrustes-angle-cv": ("distance", "metric", True),
    "procrustes-distance": ("distance", "metric", False),
    "soft-matching-distance": ("distance", "metric", False),
    "soft-matching-distance-cv": ("distance", "metric", True),
}

OF_REFERENCES = ("similarity", "reference", False)
Views = list[PopulationFold]  # of one population, a fold each


def compare(
    first: Assembly | Mapping[str, Assembly],
    second: Assembly | Mapping[str, Assembly],
    *,
    folds: Folds = Folds(),
    references: str | Sequence[str] = tuple(REFERENCES),
    device: str = "cpu",
    progress: bool | None = None,
) -> xr.Dataset:
    """Compare every population of one side with every one of the other, in both directions.

    Parameters
    ----------
    first, second : Assembly, or dict of them
        The populations; complete. Repeats are averaged. Stimuli are matched by name; those that
        all share are used.
    folds : Folds
        How the stimuli are split for the measures that are cross-validated.
    references : str, or list of them
        Names of `references.REFERENCES` to be had beside the three metrics.
    device : str
        Where torch computes: ``"cpu"``, ``"cuda"``...
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        ``value`` (measure, first, second), and along ``measure``: ``kind`` ("similarity" or
        "distance"), ``role`` ("metric" or "reference") and ``cross_validated``.
        ``linear-forward``: r of the second's units predicted from the first (mean over folds, then
        median over units), ``linear-backward`` the other way round, ``linear`` their mean.
        ``procrustes-angle`` and ``procrustes-distance``: `distances.angular` and
        `distances.euclidean`; ``soft-matching-distance``: `distances.soft_matching`; ``-cv``: the
        same from what maps fitted on the training stimuli do on the test stimuli, mean over folds.

    Raises
    ------
    InputError
        Where the input cannot be compared: no shared stimuli, NaN, too few stimuli for the folds
        or a reference, a reference that is not known.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Williams, Kunz, Kornblith and Linderman
    2021, NeurIPS; Khosla and Williams 2024, PMLR 243.
    """
    check_folds(folds)
    chosen = _known(references)
    ones, others = aligned(named("first", first), named("second", second))
    populations = [*ones.values(), *others.values()]
    n = len(populations[0].stimuli)
    splits = folds.split(n, group_labels(folds.group, populations))
    held = {name: complete_population(name, others[name], device) for name in others}
    views = {name: [held[name].fold(*split) for split in splits] for name in others}
    measures = MEASURES | dict.fromkeys(chosen, OF_REFERENCES)
    values = np.full((len(measures), len(ones), len(others)), np.nan)
    steps = [(i, j) for i in range(len(ones)) for j in range(len(others))]
    for i, j in track(steps, "comparing", len(steps), progress):
        name, partner = list(ones)[i], list(others)[j]
        if j == 0:  # each is read once, and forgotten before the next
            population = complete_population(name, ones[name], device)
            own = [population.fold(*split) for split in splits]
        found = _in_sample(population, held[partner]) | _over_folds(own, views[partner])
        found |= {called: REFERENCES[called](population, held[partner]) for called in chosen}
        values[:, i, j] = [found[called] for called in measures]
    kind, role, cross_validated = zip(*measures.values(), strict=True)
    return xr.Dataset(
        {"value": (("measure", "first", "second"), values)},
        coords={
            "measure": list(measures),
            "first": list(ones),
            "second": list(others),
            "kind": ("measure", list(kind)),
            "role": ("measure", list(role)),
            "cross_validated": ("measure", list(cross_validated)),
        },
        attrs={
            **provenance(
                "compare",
                hashes_of(first=ones, second=others),
                settings={"folds": asdict(folds)},
                first=ones,
                second=others,
            ),
            "n_stimuli": n,
            "simulated": int(any(a.data.attrs.get("simulated") for a in populations)),
        },
    )


def _known(references: str | Sequence[str]) -> list[str]:
    """Names of references, each once, checked."""
    names = [references] if isinstance(references, str) else list(dict.fromkeys(references))
    for name in names:
        if name not in REFERENCES:
            raise unknown("reference", name, REFERENCES)
    return names


def _in_sample(x: Population, y: Population) -> dict[str, float]:
    """The distances over all stimuli."""
    return {
        "procrustes-angle": angular(x, y),
        "procrustes-distance": euclidean(x, y),
        "soft-matching-distance": soft_matching(x, y),
    }


def _over_folds(x: Views, y: Views) -> dict[str, float]:
    """The measures whose maps are fitted on training stimuli and judged on test stimuli."""
    forward, backward, angles, chords = [], [], [], []
    for one, other in zip(x, y, strict=True):
        forward.append(Linear().fit(one, other).score().r)
        backward.append(Linear().fit(other, one).score().r)
        angles.append(angle(Procrustes().fit(one, other).similarity()))
        matched = SoftMatching().fit(one, other).score()
        chords.append(chord(matched.similarity))
    there, back = (float(median(FoldMean.of(scores))) for scores in (forward, backward))
    return {
        "linear-forward": there,
        "linear-backward": back,
        "linear": (there + back) / 2,
        "procrustes-angle-cv": float(np.mean(angles)),
        "soft-matching-distance-cv": float(np.mean(chords)),
    }
