"""The question `compare`: how alike populations are, by measures in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Unpack

import numpy as np
import xarray as xr

from ..base.arguments import as_list, check_known
from ..base.arrays import Floats
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
from .inputs import Source, aligned, as_populations, check_complete, design_of, group_labels
from .order import warn_of_order
from .pair_scores import Key, PairResults, PairScores
from .provenance import hashes_of, provenance
from .results import with_long_names
from .targets import target_of

__all__ = ["compare"]

# kind, role, and whether maps are scored on held-out stimuli, by name of the measure
_MEASURES = {
    "linear-forward": ("similarity", "metric", True),
    "linear-backward": ("similarity", "metric", True),
    "linear": ("similarity", "metric", True),
    "procrustes-angle": ("distance", "metric", False),
    "procrustes-angle-cv": ("distance", "metric", True),
    "procrustes-distance": ("distance", "metric", False),
    "soft-matching-distance": ("distance", "metric", False),
    "soft-matching-distance-cv": ("distance", "metric", True),
}
_OF_REFERENCES = ("similarity", "reference", False)
_WITHOUT = ("metrics", "ceiling", "min_reliability", "bootstrap", "shuffle")


def compare(
    first: Assembly | Mapping[str, Assembly],
    second: Assembly | Mapping[str, Assembly],
    *,
    references: str | Sequence[str] = tuple(REFERENCES),
    **settings: Unpack[Settings],
) -> xr.Dataset:
    """Compare each population of one side with each population of the other, in both directions.

    Parameters
    ----------
    first, second : Assembly, or dict of them
        Populations without NaN. Repeats are averaged. Stimuli are matched by name; those that all
        populations share are used.
    references : str, or list of them
        Names of `references.REFERENCES`: similarities from the literature that are computed beside
        the three metrics.
    **settings
        As for `score`: ``folds`` (for cross-validated measures), ``device``, ``study``,
        ``progress``; or ``protocol`` and ``compute``.

    Returns
    -------
    xarray.Dataset
        ``value`` (measure, first, second). Along ``measure``: ``kind`` ("similarity" or
        "distance"), ``role`` ("metric" or "reference") and ``cross_validated`` (bool). The
        measures are the `references`, and:

        - ``linear-forward``: r of the units of the second population, predicted from the first
          (mean over folds, then median over units); ``linear-backward``: r of the first, predicted
          from the second; ``linear``: mean of the two;
        - ``procrustes-angle``, ``procrustes-distance``, ``soft-matching-distance``:
          `distances.angular`, `distances.euclidean` and `distances.soft_matching` of all stimuli;
        - ``procrustes-angle-cv``, ``soft-matching-distance-cv``: the same distances on the test
          stimuli, with maps that are fitted on the training stimuli; mean over folds.

    Raises
    ------
    InputError
        If the input cannot be compared: no shared stimuli, NaN, too few stimuli for the folds or
        for a reference, an unknown reference.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Williams, Kunz, Kornblith and Linderman
    2021, NeurIPS; Khosla and Williams 2024, PMLR 243.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> y = x + rng.standard_normal((30, 5))
    >>> one, other = (cv.Assembly.from_array(values, stimuli=names) for values in (x, y))
    >>> compared = cv.compare(one, other, folds=cv.Folds(3), references="cka")
    >>> compared["value"].sel(measure=["linear", "cka"]).values.ravel().round(2).tolist()
    [0.46, 0.43]
    """
    protocol, compute = settle(settings, Protocol(ceiling=None), _WITHOUT)
    chosen = _known(references)
    firsts, seconds = aligned(as_populations("first", first), as_populations("second", second))
    for side, several in (("first", firsts), ("second", seconds)):
        for name, assembly in several.items():
            check_complete(name, assembly, side)
    populations = [*firsts.values(), *seconds.values()]
    n = len(populations[0].stimuli)
    in_sample = {name: _InSample(name) for name in (*_IN_SAMPLE, *chosen)}
    design = design_of(replace(protocol, metrics=_CROSS_VALIDATED), populations)
    warn_of_order(firsts, seconds, protocol, group_labels(protocol.folds.group, populations))
    designs = {
        "": replace(design, metrics=tuple(_CROSS_VALIDATED)),
        "in sample": Design([(np.arange(n), np.arange(n))], design.resamples, tuple(in_sample)),
    }
    protocol = replace(protocol, metrics=_CROSS_VALIDATED | in_sample)
    hashes = hashes_of(first=firsts, second=seconds)
    sources = {name: Source(name, (one,), hashes["first"][name]) for name, one in firsts.items()}
    targets = {
        name: target_of(name, other, hashes["second"][name], protocol, design, may_be_silent=True)
        for name, other in seconds.items()
    }
    found = score_pairs(sources, targets, designs, protocol, compute)
    result = with_long_names(_labelled(found, list(firsts), list(seconds), chosen), _LONG_NAMES)
    given = {"folds": asdict(protocol.folds), "references": chosen}
    made = provenance(
        "compare", hashes, compute=compute, settings=given, first=firsts, second=seconds
    )
    simulated = any(assembly.data.attrs.get("simulated") for assembly in populations)
    return result.assign_attrs(n_stimuli=n, simulated=int(simulated), **made)


def _known(references: str | Sequence[str]) -> list[str]:
    """Check the names of references, and keep each once."""
    names: list[Any] = [references]
    if not isinstance(references, str):
        names = as_list("references", references, "a name, or a list of names")
    for name in names:
        check_known("reference", name, REFERENCES)
    return list(dict.fromkeys(names))


def _labelled(
    found: PairResults, firsts: Sequence[str], seconds: Sequence[str], references: Sequence[str]
) -> xr.Dataset:
    """Values of all measures and pairs, with labels."""
    measures = _MEASURES | dict.fromkeys(references, _OF_REFERENCES)
    values = np.full((len(measures), len(firsts), len(seconds)), np.nan)
    for (i, first), (j, second) in product(enumerate(firsts), enumerate(seconds)):
        numbers = _numbers(found, first, second, references)
        values[:, i, j] = [numbers[name] for name in measures]
    kind, role, cross_validated = zip(*measures.values(), strict=True)
    return xr.Dataset(
        {"value": (("measure", "first", "second"), values)},
        coords={
            "measure": list(measures),
            "first": list(firsts),
            "second": list(seconds),
            "kind": ("measure", list(kind)),
            "role": ("measure", list(role)),
            "cross_validated": ("measure", list(cross_validated)),
        },
    )


def _numbers(
    found: PairResults, first: str, second: str, references: Sequence[str]
) -> dict[str, float]:
    """Values of all measures of a pair."""

    def scores(metric: str, design: str = "") -> PairScores:
        return found.pairs[Key(metric, first, second, design)]

    forward = float(median(scores("linear-forward").r))
    backward = float(median(scores("linear-backward").r))
    angles = [angle(fold.similarity) for fold in scores("procrustes-angle-cv").folds]
    chords = [chord(fold.similarity) for fold in scores("soft-matching-distance-cv").folds]
    in_sample = {
        name: scores(name, "in sample").folds[0].similarity for name in (*_IN_SAMPLE, *references)
    }
    return in_sample | {
        "linear-forward": forward,
        "linear-backward": backward,
        "linear": (forward + backward) / 2,
        "procrustes-angle-cv": float(np.mean(angles)),
        "soft-matching-distance-cv": float(np.mean(chords)),
    }


@dataclass(frozen=True)
class _Backward:
    """A metric with exchanged sides: it maps the target on the source."""

    metric: Metric

    def fit(self, source: PopulationFold, target: PopulationFold) -> FittedMap:
        return self.metric.fit(target, source)


@dataclass(frozen=True)
class _InSample:
    """A distance or reference of all stimuli, which the engine scores as if it were a metric."""

    name: str

    def fit(self, source: PopulationFold, target: PopulationFold) -> _Number:
        function = _IN_SAMPLE[self.name] if self.name in _IN_SAMPLE else REFERENCES[self.name]
        return _Number(function(source.population, target.population))


@dataclass(frozen=True)
class _Number:
    """One number for two populations, which stands for a fitted map."""

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
