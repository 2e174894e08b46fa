"""A paragraph of methods for a paper, from the settings and the data of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..base.errors import shortened, shown
from ..statistics.ceilings import CEILING_WORDS, NEED_REPEATS
from .numbers import count, listed, several
from .origin import Origin

__all__ = ["methods"]

_CITED = {
    "Linear": "ridge regression: Hoerl and Kennard 1970",
    "Procrustes": "Procrustes: Schönemann 1966; Williams et al. 2021",
    "SoftMatching": "soft matching: Khosla and Williams 2024",
}


def methods(scores: xr.Dataset, origin: Origin) -> tuple[str, ...]:
    """Describe how scores were computed.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.
    origin : Origin
        Its provenance; what it does not state is not described.

    Returns
    -------
    tuple of str
        Paragraphs of plain text.
    """
    if not origin.content:
        return ()
    sentences = [
        *_populations(scores, origin),
        *_folds(origin),
        *_metrics(origin),
        *_aggregates(scores, origin),
        *_ceiling(origin),
        *_intervals(scores, origin),
        *_shuffles(origin),
    ]
    return " ".join(sentences), _software(origin)


def _populations(scores: xr.Dataset, origin: Origin) -> list[str]:
    sources, targets = origin.inputs("sources"), origin.inputs("targets")
    network = listed(
        [*origin.known("sources", "network"), *origin.known("sources", "network_name")] or [""]
    )
    what = f"{origin.source_word.lower()}{'s' * (len(sources) != 1)}"
    of = f" of {network}" if network and what.startswith("layer") else ""
    weights = origin.known("sources", "weights")
    of += f" ({'; '.join(map(shown, weights))})" if of and weights else ""
    data = origin.known("targets", "data_set")
    recorded = f" of the data set {listed(data)}" if data else ""
    cited = origin.known("targets", "citation")
    recorded += f" ({'; '.join(map(shown, cited))})" if cited else ""
    units = several((one.get("n_units", 0) for one in targets.values()), "unit")
    said = [
        f"We compared {len(sources)} {what}{of} with {listed(list(targets), 12)}{recorded} "
        f"({units}{' each' if len(targets) > 1 else ''}), using the responses of both to "
        f"{scores.attrs['n_stimuli']} stimuli."
    ]
    if scores.attrs.get("simulated"):
        said.append("These results rest on simulated data.")
    if any(one.get("repeats", 1) > 1 for one in [*sources.values(), *targets.values()]):
        said.append("Responses were averaged over the repeats of a stimulus.")
    spatial = origin.known("sources", "spatial")
    said += [_POSITIONS[kind] for kind in spatial if kind in _POSITIONS]
    return said


_POSITIONS = {
    "mean": "Activations of a layer were averaged over its positions.",
    "max": "Of the activations of a layer, the maximum over its positions was taken.",
    "center": "Of a layer, the activations at its central position were taken.",
    "flatten": "Each channel at each position of a layer was a unit.",
}


def _folds(origin: Origin) -> list[str]:
    folds = origin.setting("folds")
    if not isinstance(folds, Mapping):
        return []
    n, order, group = folds.get("n"), folds.get("order"), folds.get("group")
    of = [kind for kind in origin.known("sources", "spatial") if kind.startswith("positions")]
    if group:
        together = f"; stimuli of the same {shown(group)} were in the same fold"
    elif of:
        together = "; the positions of an image were in the same fold"
    else:
        together = ""
    if order is None:
        how = f"split at random (seed {folds.get('seed')}) in {n} folds"
    else:
        by = "their names" if order == "name" else f"their {shown(order)}"
        how = f"split in {n} folds of stimuli that follow each other in the order of {by}"
    return [
        f"All scores are cross-validated: stimuli were {how}{together}. All that is fitted was "
        "fitted on the training stimuli of a fold, and scored on its test stimuli."
    ]


def _metrics(origin: Origin) -> list[str]:
    metrics = origin.setting("metrics")
    said = []
    for name, of in metrics.items() if isinstance(metrics, Mapping) else ():
        describe = _METRICS.get(str(of.get("metric")), _other_metric)
        said.append(f"{shortened(shown(name), 80)}: {describe(of)}.")
    return [f"Metrics: {' '.join(said)}"] if said else []


def _linear(of: Mapping[str, Any]) -> str:
    penalties = of.get("penalties") or [float("nan")]
    unit = "times the mean squared norm of the centred training responses of the source"
    if len(penalties) == 1:
        chosen = f"its penalty {penalties[0]:g} {unit}"
    else:
        chosen = (
            f"its penalty chosen for each target unit, by leave-one-out over the training stimuli, "
            f"from {len(penalties)} values from {min(penalties):g} to {max(penalties):g} {unit}"
        )
    return (
        f"ridge regression with intercept, {chosen}; the score of a unit is Pearson's r of "
        "prediction and response"
    )


def _procrustes(_of: Mapping[str, Any]) -> str:
    return (
        "an orthogonal map between the centred populations; the score of a unit is Pearson's r of "
        "prediction and response"
    )


def _soft_matching(of: Mapping[str, Any]) -> str:
    score = {
        "pairwise": "the mean of its correlations with its partners, by mass",
        "barycentric": "its correlation with the mean of its partners, by mass",
    }[str(of.get("unit_score", "pairwise"))]
    return (
        "the optimal transport plan with uniform marginals, which maximises the sum of the "
        f"correlations of matched units; the score of a unit is {score}"
    )


def _shifts(of: Mapping[str, Any]) -> str:
    inner = of.get("inner") or {}
    rows, columns = of.get("grid") or ("?", "?")
    describe = _METRICS.get(str(inner.get("metric")), _other_metric)
    return (
        f"the best of all circular shifts of maps of {rows} x {columns} positions, chosen on a "
        f"quarter of the training images; at each shift, {describe(inner)}"
    )


def _other_metric(of: Mapping[str, Any]) -> str:
    given = ", ".join(f"{key} = {value}" for key, value in of.items() if key != "metric")
    return f"{shown(of.get('metric'))}" + (f" ({shown(given)})" if given else "")


_METRICS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Linear": _linear,
    "Procrustes": _procrustes,
    "SoftMatching": _soft_matching,
    "CircularShifts": _shifts,
}


def _aggregates(scores: xr.Dataset, origin: Origin) -> list[str]:
    said = ["The score r of a target is the median over its units of their mean over folds."]
    least = origin.setting("min_reliability")
    has_reliability = bool(np.isfinite(scores["reliability"].values).any())
    if has_reliability and least is not None and float(least) > -np.inf:
        said.append(f"Units with a reliability below {float(least):g} are not in the medians.")
    left_out, total = _left_out(scores)
    of = f"Of {count(total, 'unit')}, {left_out:,} {'was' if left_out == 1 else 'were'} left out."
    return [*said, of if left_out else "No unit was left out."]


def _left_out(scores: xr.Dataset) -> tuple[int, int]:
    """Number of units that are left out of the medians, and of all units."""
    if "excluded" in scores.coords:
        return int((scores["excluded"].values != "").sum()), scores.sizes["unit"]
    left_out = int(scores["n_units_excluded"].sum())
    return left_out, left_out + int(scores["n_units"].sum())


def _ceiling(origin: Origin) -> list[str]:
    if "ceiling" not in origin.content:
        return []
    name = origin.setting("ceiling")
    words = CEILING_WORDS.get(name)
    if words is None:
        return []
    if name is None:
        return [words.definition]
    weighted = " (weighted by the root of their reliability)" if name in NEED_REPEATS else ""
    return [
        words.definition,
        "The normalized score of a target is the sum of the scores of all its scored units over "
        f"the sum of their expected ceilings{weighted}. Of normalized scores, {words.normalized}",
    ]


def _intervals(scores: xr.Dataset, origin: Origin) -> list[str]:
    bootstrap = origin.setting("bootstrap")
    if not isinstance(bootstrap, Mapping):
        return []
    over = [str(one) for one in bootstrap.get("over") or ()]
    things = {"stimuli": "stimuli (within folds)", "units": "units (within targets)"}
    if "stimuli" in over and _in_groups(scores):
        things["stimuli"] = "groups of stimuli that are in one fold (within folds)"
    drawn = listed([things.get(one, one) for one in over])
    said = (
        "Confidence intervals (95%) are the estimate ± t × its standard error, from a bootstrap "
        f"over {drawn} with "
        f"{count(int(bootstrap.get('samples', 0)), 'resample')} (seed {bootstrap.get('seed')})"
    )
    if "stimuli" in over and "r_refits" in scores:
        said += f"; maps were fitted again in {scores.sizes['refit']:,} of them"
    sentences = [f"{said}."]
    if scores.sizes["source"] > 1:
        sentences.append(
            "Sources were compared in the same resamples; those that are not significantly worse "
            "than the best one were found by the maximum over all pairs (Westfall and Young 1993); "
            "p-values of pairs were corrected by Holm's method."
        )
    return sentences


def _in_groups(scores: xr.Dataset) -> bool:
    """Whether stimuli are drawn in groups: then fewer are drawn than there are."""
    n_stimuli = scores.coords.get("n_stimuli", scores.attrs["n_stimuli"])
    drawn = scores["n_drawn"].sel(factor="stimuli")
    return bool((drawn.values < np.asarray(n_stimuli)).any())


def _shuffles(origin: Origin) -> list[str]:
    shuffle = origin.setting("shuffle")
    if not isinstance(shuffle, Mapping):
        return []
    kind = {
        "random": "stimuli of the target were exchanged within folds",
        "circular": "stimuli of the target were shifted along their order, in a circle",
    }[str(shuffle.get("kind", "random"))]
    return [
        f"For the null distribution, {kind}, and everything was fitted again, "
        f"{count(int(shuffle.get('samples', 0)), 'time')} (seed {shuffle.get('seed')}); p is "
        "(1 + number of shuffles that score at least as high) / (1 + number of shuffles)."
    ]


def _software(origin: Origin) -> str:
    versions = dict(origin.content.get("versions") or {})
    rest = ", ".join(
        f"{name} {version}" for name, version in versions.items() if name != "convergent"
    )
    python = origin.content.get("python")
    used = [f"Python {python}"] if python else []
    used += [rest] if rest else []
    text = f"Scores were computed with convergent {origin.version}"
    text += f" ({', '.join(used)})." if used else "."
    metrics = origin.setting("metrics")
    kinds = (
        {str(of.get("metric")) for of in metrics.values()} if isinstance(metrics, Mapping) else ()
    )
    cited = [text_ for kind, text_ in _CITED.items() if kind in kinds]
    if isinstance(origin.setting("bootstrap"), Mapping):
        cited.append("bootstrap: Efron 1979")
    if isinstance(origin.setting("shuffle"), Mapping):
        cited.append("permutation p-values: Phipson and Smyth 2010")
    return shown(text) + (f" References: {'; '.join(cited)}." if cited else "")
