"""Populations compared with each other, in both directions: networks with networks, brains too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Unpack

import numpy as np
import xarray as xr

from ..base.arrays import Floats
from ..base.errors import unknown
from ..data.assembly import Assembly
from ..metrics.base import FittedMap, FoldScore, Metric
from ..metrics.distances import angle, angular, chord, euclidean, soft_matching
from ..metrics.linear import Linear
from ..metrics.population import Population, PopulationFold
from ..metrics.procrustes import Procrustes
from ..metrics.references import REFERENCES
from ..metrics.soft_matching import SoftMatching
from ..protocol.design import Design
from ..protocol.settings import Protocol, Settings, settle
from ..statistics.aggregation import median
from .engine import score_pairs
from .inputs import Source, aligned, as_populations, check_complete, design_of
from .pair_scores import Key, PairResults, PairScores
from .provenance import hashes_of, provenance
from .results import described
from .targets import target_of

__all__ = ["MEASURES", "OF_REFERENCES", "compare"]

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


def compare(
    first: Assembly | Mapping[str, Assembly],
    second: Assembly | Mapping[str, Assembly],
    *,
    references: str | Sequence[str] = tuple(REFERENCES),
    **settings: Unpack[Settings],
) -> xr.Dataset:
    """Compare every population of one side with every one of the other, in both directions.

    Parameters
    ----------
    first, second : Assembly, or dict of them
        The populations; complete. Repeats are averaged. Stimuli are matched by name; those that
        all share are used.
    references : str, or list of them
        Names of `references.REFERENCES` that are computed beside the three metrics.
    **settings
        ``folds`` (for the measures that are cross-validated), ``device``, ``study`` and
        ``progress``, or ``protocol`` and ``compute``: as for `score`.

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
    usual = Protocol(ceiling=None)
    without = ("metrics", "ceiling", "min_reliability", "bootstrap", "shuffle")
    protocol, compute = settle(settings, usual, without)
    chosen = _known(references)
    ones, others = aligned(as_populations("first", first), as_populations("second", second))
    for side, several in (("first", ones), ("second", others)):
        for name, assembly in several.items():
            check_complete(name, assembly, side)
    measured: dict[str, Metric] = {name: _InSample(name) for name in (*_IN_SAMPLE, *chosen)}
    protocol = replace(protocol, metrics=_CROSS_VALIDATED | measured)
    design = design_of(replace(protocol, metrics=_CROSS_VALIDATED), [*ones.values()])
    n = len(next(iter(ones.values())).stimuli)
    everything = [(np.arange(n), np.arange(n))]
    designs = {
        "": replace(design, metrics=tuple(_CROSS_VALIDATED)),
        "in sample": Design(everything, design.resamples, tuple(measured)),
    }
    hashes = hashes_of(first=ones, second=others)
    sources = {name: Source(name, (one,), hashes["first"][name]) for name, one in ones.items()}
    targets = {
        name: target_of(name, other, hashes["second"][name], protocol, design, may_be_silent=True)
        for name, other in others.items()
    }
    found = score_pairs(sources, targets, designs, protocol, compute)
    populations = [*ones.values(), *others.values()]
    return described(_labelled(found, list(ones), list(others), chosen), _LONG_NAMES).assign_attrs(
        n_stimuli=n,
        simulated=int(any(a.data.attrs.get("simulated") for a in populations)),
        **provenance(
            "compare",
            hashes,
            compute=compute,
            settings={"folds": asdict(protocol.folds), "references": chosen},
            first=ones,
            second=others,
        ),
    )


def _known(references: str | Sequence[str]) -> list[str]:
    """Names of references, each once, checked."""
    names = [references] if isinstance(references, str) else list(dict.fromkeys(references))
    for name in names:
        if name not in REFERENCES:
            raise unknown("reference", name, REFERENCES)
    return names


def _labelled(
    found: PairResults, ones: Sequence[str], others: Sequence[str], references: Sequence[str]
) -> xr.Dataset:
    """Values of all measures and pairs, with labels."""
    measures = MEASURES | dict.fromkeys(references, OF_REFERENCES)
    values = np.full((len(measures), len(ones), len(others)), np.nan)
    for (i, one), (j, other) in product(enumerate(ones), enumerate(others)):
        numbers = _numbers(found, one, other, references)
        values[:, i, j] = [numbers[name] for name in measures]
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
    )


def _numbers(
    found: PairResults, one: str, other: str, references: Sequence[str]
) -> dict[str, float]:
    """All measures of a pair."""

    def scores(metric: str, design: str = "") -> PairScores:
        return found.pairs[Key(metric, one, other, design)]

    there, back = (float(median(scores(name).r)) for name in ("linear-forward", "linear-backward"))
    angles = [angle(fold.similarity) for fold in scores("procrustes-angle-cv").folds]
    chords = [chord(fold.similarity) for fold in scores("soft-matching-distance-cv").folds]
    whole = {
        name: scores(name, "in sample").folds[0].similarity for name in (*_IN_SAMPLE, *references)
    }
    return whole | {
        "linear-forward": there,
        "linear-backward": back,
        "linear": (there + back) / 2,
        "procrustes-angle-cv": float(np.mean(angles)),
        "soft-matching-distance-cv": float(np.mean(chords)),
    }


@dataclass(frozen=True)
class _Backward:
    """Another metric with the sides exchanged: the target is mapped on the source."""

    metric: Metric

    def fit(self, source: PopulationFold, target: PopulationFold) -> FittedMap:
        return self.metric.fit(target, source)


@dataclass(frozen=True)
class _InSample:
    """A distance or reference over all stimuli, in the place of a metric."""

    name: str

    def fit(self, source: PopulationFold, target: PopulationFold) -> _Number:
        function = _IN_SAMPLE[self.name] if self.name in _IN_SAMPLE else REFERENCES[self.name]
        return _Number(function(source.population, target.population))


@dataclass(frozen=True)
class _Number:
    """One number for two populations, in the place of a fitted map."""

    value: float

    def score(self) -> FoldScore:
        return FoldScore(np.empty(0), similarity=self.value)

    def resample(self, test: Floats, train: Floats | None = None) -> Floats:  # noqa: ARG002
        return np.empty((len(test), 0))


_CROSS_VALIDATED: dict[str, Metric] = {
    "linear-forward": Linear(),
    "linear-backward": _Backward(Linear()),
    "procrustes-angle-cv": Procrustes(),
    "soft-matching-distance-cv": SoftMatching(),
}
_IN_SAMPLE: dict[str, Callable[[Population, Population], float]] = {
    "procrustes-angle": angular,
    "procrustes-distance": euclidean,
    "soft-matching-distance": soft_matching,
}
_LONG_NAMES = {
    "value": "similarity or distance of two populations",
    "first": "first population",
    "second": "second population",
    "measure": "what is measured",
}
