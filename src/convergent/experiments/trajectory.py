"""The experiment `trajectory`: when alignment emerges during the training of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from numbers import Real
from typing import Any, NamedTuple, Unpack

import xarray as xr

from ..base.arguments import as_list, as_number, as_share, check_keys, check_type
from ..base.errors import InputError, examples, quoted
from ..data.assembly import Assembly
from ..protocol.design import Design
from ..protocol.settings import Protocol
from ..scoring.engine import score_pairs
from ..scoring.inputs import Source, design_of, group_labels
from ..scoring.order import warn_of_order
from ..scoring.pair_scores import Key, Pair, PairResults
from ..scoring.provenance import provenance
from ..scoring.results import with_long_names
from ..scoring.targets import Target, target_of
from ..statistics.aggregation import over_units
from ..statistics.inference import Factors
from .conditions import (
    ExperimentSettings,
    Levels,
    accuracy_table,
    common_steps,
    depths,
    same_stimuli,
    settle_experiment,
)
from .summaries import (
    Arrays,
    Share,
    Statistic,
    aggregates,
    drawn_from,
    grown,
    on_grid,
    plain_share,
    with_intervals,
)

__all__ = ["trajectory"]

_Runs = Mapping[str, Levels]
_AGAINST = ("same step", "final")
_PAIRS = "a list of pairs of runs, source and target"


def trajectory(
    runs: _Runs,
    metrics: Any = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    early: float = 1.0,
    controls: Mapping[str, _Runs] | None = None,
    accuracy: Mapping[str, Mapping[float, float]] | None = None,
    level: float = 0.95,
    **settings: Unpack[ExperimentSettings],
) -> xr.Dataset:
    """Score checkpoints of one training against those of another, and against its final network.

    Each layer of one network is scored against the layer at the same position in the other
    network, in two ways: against the other network at the `same step` of its training, and against
    the `final` network, at the last step.

    Parameters
    ----------
    runs : dict of dict of dict of Assembly
        Layers by training (run), by step, and by name, from first to last. This is what `extract`
        returns for each of the `checkpoints`. Steps are numbers (epochs); the first step is the
        initialisation, the last the final network. All runs have the same steps and equally many
        layers.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; by default, all three.
    pairs : sequence of (str, str), optional
        Pairs of runs; the first of a pair is mapped on the second. By default, each run is mapped
        on each later run in the order of `runs`.
    early : float
        Step at which the share of the final alignment is computed: the end of the first epoch.
    controls : dict of dict of dict of dict of Assembly, optional
        Runs that are scored in place of the runs that are mapped, by name of the control, to see
        what chance gives: `shuffled` or `rotated` of the runs. Untrained networks are scored
        anyway, as the first step.
    accuracy : dict of dict of float, optional
        Share of stimuli that are classified correctly, by network (run) and step (see `accuracy`).
    level : float
        Confidence level of the intervals, between 0 and 1.
    **settings
        As for `score`: ``folds``, ``ceiling`` (by default ``"self"``), ``bootstrap``, ``device``,
        ``study``, ``progress``; or ``protocol`` and ``compute``. The bootstrap draws only stimuli.
        Maps are fitted again in each of its ``refits``.

    Returns
    -------
    xarray.Dataset
        Results, with these variables:

        - ``r`` (pair, metric, against, step, layer): mean over folds, then median over units;
        - ``ceiling`` (run, metric, step, layer): ceiling of each run that is predicted;
        - ``share`` (pair, metric, against, layer): share of the growth of r that is reached early,
          (r at the early step - r at the first step) / (r at the last step - r at the first step).
          NaN, with a warning, where r did not grow: where its growth is not significantly above 0,
          or, without a bootstrap, not above 0;
        - ``share_overall`` (pair, metric, against): the same share of the mean of r over layers.

        With a bootstrap, ends of confidence intervals, ``NAME_low`` and ``NAME_high``, of ``r``,
        ``share`` and ``share_overall`` (by Fieller's method, see `Notes`). With `controls`,
        ``r_chance`` (chance, pair, metric, against, step, layer), where ``chance`` is the name of
        the control. With `accuracy`, ``accuracy`` (network, step) and ``accuracy_share`` (network).
        The coordinate ``depth`` of layers goes from 0 (first) to 1 (last); ``source_run`` and
        ``target_run`` are the runs of each pair.

    Raises
    ------
    InputError
        If runs differ in steps or numbers of layers, `early` is none of the steps, or a stimulus
        is missing somewhere.

    Notes
    -----
    The interval of a share holds each share s that the data do not contradict: those for which
    (growth until the early step) - s (growth until the last step) is not significantly different
    from 0. It is wide, and skewed, where r grows little.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Fieller 1954, Journal of the Royal
    Statistical Society B 16.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(60)]
    >>> shared = rng.standard_normal((60, 5))  # what both networks learn
    >>> def training():
    ...     own = rng.standard_normal((60, 5))
    ...     return {
    ...         step: {"layer": cv.Assembly.from_array(learned * shared + own, stimuli=names)}
    ...         for step, learned in {0.0: 0.0, 1.0: 1.0, 2.0: 1.5}.items()
    ...     }
    >>> runs = {"seed 0": training(), "seed 1": training()}
    >>> found = cv.trajectory(runs, "procrustes", folds=cv.Folds(3))
    >>> found["r"].sel(against="same step").squeeze().values.round(2).tolist()
    [-0.07, 0.52, 0.71]
    """
    controls, protocol, compute = settle_experiment(
        metrics, controls, settings, without=("min_reliability", "shuffle")
    )
    level = as_share("level", level)
    steps = _check_runs(runs, early)
    pairs = _known_pairs(list(combinations(runs, 2)) if pairs is None else pairs, runs)
    correct = None if accuracy is None else accuracy_table(accuracy, "step", steps)
    for name, substitute in controls.items():
        _check_control(name, substitute, runs, {source for source, _ in pairs})
    work = _Work(_populations(runs, controls, pairs), steps, pairs, protocol)
    work.warn_of_order()
    found = score_pairs(
        work.sources(), work.targets, work.designs(), protocol, compute, pairs=work.pairs()
    )
    layers = list(next(iter(runs[pairs[0][0]].values())))
    result = _labelled(found, work, layers, early, level)
    if correct is not None:
        result["accuracy"] = correct
        correct = result["accuracy"]  # with the steps as labels
        growth = _early_growth(correct, steps, early), grown(correct, steps[-1])
        result["accuracy_share"] = plain_share(*growth)
    return with_long_names(result, _LONG_NAMES).assign_attrs(
        n_stimuli=len(work.first.stimuli),
        early=float(early),
        **provenance(
            "trajectory",
            {"runs": work.hashes},
            protocol=protocol,
            compute=compute,
            settings={"early": early, "level": level},
            runs=work.populations,
        ),
    )


class _Layer(NamedTuple):
    """A layer of a run, or of a control in its place, at a step."""

    control: str  # '' for the run itself
    run: str
    step: float
    layer: int  # position, counted from 0


def _populations(
    runs: _Runs, controls: Mapping[str, _Runs], pairs: Sequence[tuple[str, str]]
) -> dict[_Layer, Assembly]:
    """Layers of all runs that are scored, and of controls in place of the runs that are mapped."""
    given = {("", run): runs[run] for run in dict.fromkeys(run for pair in pairs for run in pair)}
    given |= {
        (name, source): substitute[source]
        for name, substitute in controls.items()
        for source in dict.fromkeys(source for source, _ in pairs)
    }
    return {
        _Layer(control, run, step, k): assembly
        for (control, run), of_step in zip(given, same_stimuli(*given.values()), strict=True)
        for step, layers in of_step.items()
        for k, assembly in enumerate(layers.values())
    }


@dataclass(frozen=True, eq=False)
class _Work:
    """What is scored against what.

    Attributes
    ----------
    populations : dict of Assembly
        All layers.
    steps : list of float
        Steps, from first to last.
    runs : list of (str, str)
        Pairs of runs: source and target.
    protocol : Protocol
        Settings that decide the numbers.
    """

    populations: Mapping[_Layer, Assembly]
    steps: Sequence[float]
    runs: Sequence[tuple[str, str]]
    protocol: Protocol

    @property
    def first(self) -> Assembly:
        """First of the layers; all have the same stimuli."""
        return next(iter(self.populations.values()))

    @cached_property
    def hashes(self) -> dict[_Layer, str]:
        """SHA-256 of each layer."""
        return {key: assembly.fingerprint() for key, assembly in self.populations.items()}

    @cached_property
    def design(self) -> Design:
        """Folds and resamples."""
        return design_of(self.protocol, [self.first])

    @cached_property
    def targets(self) -> dict[_Layer, Target]:
        """Layers that are predicted."""
        predicted = {target for _, target in self.runs}
        return {
            key: target_of(
                _name(key),
                assembly,
                self.hashes[key],
                self.protocol,
                self.design,
                may_be_silent=True,
            )
            for key, assembly in self.populations.items()
            if not key.control and key.run in predicted
        }

    def warn_of_order(self) -> None:
        """Warn if responses of the final networks change slowly along the stimuli."""
        last = {
            key: assembly
            for key, assembly in self.populations.items()
            if not key.control and key.step == self.steps[-1]
        }
        source, target = (
            {_name(key): assembly for key, assembly in last.items() if key.run in side}
            for side in zip(*self.runs, strict=True)
        )
        groups = group_labels(self.protocol.folds.group, [self.first])
        warn_of_order(source, target, self.protocol, groups)

    @property
    def controls(self) -> list[str]:
        """The runs themselves (''), and the controls."""
        return list(dict.fromkeys(key.control for key in self.populations))

    @property
    def layers(self) -> list[int]:
        """Positions of the layers."""
        return list(dict.fromkeys(key.layer for key in self.populations))

    def sources(self) -> dict[_Layer, Source]:
        """Layers that are mapped."""
        return {
            key: Source(_name(key), (assembly,), self.hashes[key])
            for key, assembly in self.populations.items()
        }

    def designs(self) -> dict[str, Design]:
        """Folds with resamples for runs, and without for controls."""
        return {"": self.design, "control": self.design.alone()}

    def pairs(self) -> list[Pair]:
        """Pairs by layer and step, so that those that use the same layers follow each other."""
        found: dict[Pair, None] = {}
        for layer, step, control in product(self.layers, self.steps, self.controls):
            for source, target in self.runs:
                for until in (step, self.steps[-1]):
                    one = _Layer(control, source, step, layer)
                    other = _Layer("", target, until, layer)
                    found[Pair(one, other, _design_name(control))] = None
        return list(found)

    def aggregate(
        self,
        found: PairResults,
        control: str,
        pair: tuple[str, str],
        metric: str,
        against: str,
        step: float,
        layer: int,
    ) -> Mapping[Factors, Any]:
        """Aggregate over units of one score, with its resamples."""
        target = _Layer("", pair[1], step if against == "same step" else self.steps[-1], layer)
        source = _Layer(control, pair[0], step, layer)
        scores = found.pairs[Key(metric, source, target, _design_name(control))]
        return aggregates(scores, self.targets[target].included)


def _name(key: _Layer) -> str:
    return f"{key.run}, step {key.step:g}, layer {key.layer}"


def _design_name(control: str) -> str:
    return "control" if control else ""


def _labelled(
    found: PairResults, work: _Work, layers: Sequence[str], early: float, level: float
) -> xr.Dataset:
    """Scores, statistics of them with intervals, and ceilings, with labels."""

    def aggregate(*labels: Any) -> Mapping[Factors, Any]:
        return work.aggregate(found, *labels)

    grid: dict[str, Sequence[Any]] = {
        "pair": work.runs,
        "metric": list(work.protocol.metrics),
        "against": _AGAINST,
        "step": work.steps,
        "layer": work.layers,
    }
    coords = _coords(work, layers)
    scores = {
        factors: {"r": array.assign_coords({k: coords[k] for k in grid})}
        for factors, array in on_grid(lambda *labels: aggregate("", *labels), grid).items()
    }
    drawn, n_folds = drawn_from(work.design, work.targets), work.design.n_folds
    variables: dict[str, Any] = dict(
        with_intervals(scores, _statistics(work.steps, early), drawn, n_folds, level)
    )
    controls = work.controls[1:]
    if controls:
        variables["r_chance"] = on_grid(aggregate, {"chance": controls} | grid)[()]
        coords["chance"] = controls
    if work.protocol.ceiling is not None:
        coords["run"] = list(dict.fromkeys(target for _, target in work.runs))
        variables["ceiling"] = _ceilings(found, work, coords["run"])
    return xr.Dataset(variables, coords=coords)


def _coords(work: _Work, layers: Sequence[str]) -> dict[str, Any]:
    """Labels of a result."""
    return {
        "pair": [f"{source} > {target}" for source, target in work.runs],
        "source_run": ("pair", [source for source, _ in work.runs]),
        "target_run": ("pair", [target for _, target in work.runs]),
        "metric": list(work.protocol.metrics),
        "against": list(_AGAINST),
        "step": list(work.steps),
        "layer": list(layers),
        "depth": ("layer", depths(len(layers))),
    }


def _ceilings(found: PairResults, work: _Work, runs: Sequence[str]) -> xr.DataArray:
    """Ceiling of each run that is predicted, aggregated over units."""
    metrics = list(work.protocol.metrics)

    def of(run: str, metric: str, step: float, layer: int) -> Mapping[Factors, Any]:
        key = _Layer("", run, step, layer)
        r = found.ceilings[key].r[metrics.index(metric)]
        return {(): over_units(r[None, work.targets[key].included])[0]}

    grid = {"run": runs, "metric": metrics, "step": work.steps, "layer": work.layers}
    return on_grid(of, grid)[()]


def _statistics(steps: Sequence[float], early: float) -> dict[str, Statistic | Share]:
    """Statistics of scores: r itself, and the share of its growth that is reached early."""

    def share(of: Callable[[Arrays], xr.DataArray]) -> Share:
        return Share(
            lambda scores: _early_growth(of(scores), steps, early),
            lambda scores: grown(of(scores), steps[-1]),
            "growth of r",
        )

    return {
        "r": Statistic(lambda scores: scores["r"], "score"),
        "share": share(lambda scores: scores["r"]),
        "share_overall": share(lambda scores: scores["r"].mean("layer")),
    }


def _early_growth(curve: xr.DataArray, steps: Sequence[float], early: float) -> xr.DataArray:
    """Growth until the early step; NaN if that is the first or last, where shares say nothing."""
    return grown(curve, early).where(steps[0] < early < steps[-1])


_LONG_NAMES = {
    "share": "share of the growth of r that is reached at the early step",
    "share_overall": "share of the growth of r, mean over layers, that is reached early",
    "r_chance": "score of a control in place of the source",
    "accuracy": "share of stimuli that a network classifies correctly",
    "accuracy_share": "share of the growth of accuracy that is reached at the early step",
    "step": "step of the training (epochs)",
    "depth": "proportional depth of the layer, from 0 (first) to 1 (last)",
}


def _check_runs(runs: _Runs, early: float) -> list[float]:
    """Make sure that runs fit together, and return their steps."""
    check_keys("runs", runs, "a dict by run, step and layer")
    early = as_number("early", early)
    for run, of_step in runs.items():
        nested = bool(of_step) and isinstance(of_step, Mapping)
        nested = nested and all(
            isinstance(step, Real) and isinstance(layers, Mapping)
            for step, layers in of_step.items()
        )
        if not nested:
            raise InputError(
                f"run {run!r} is not layers by step: give a dict by run, then by step (a number), "
                "then by layer, such as {'seed 0': {0.0: layers, 1.0: layers}}."
            )
    every = common_steps(runs)
    if len(every) < 2 or early not in every:
        raise InputError(
            f"early={early:g} is none of the steps {', '.join(f'{step:g}' for step in every)}: "
            "give the step at which the first epoch ends, and runs of two steps or more."
        )
    counts = {run: {len(layers) for layers in of_step.values()} for run, of_step in runs.items()}
    if len(set().union(*counts.values())) > 1:
        raise InputError(
            f"runs have different numbers of layers ({counts}): layers at the same position are "
            "compared, so choose equally many of all."
        )
    return every


def _known_pairs(given: object, runs: _Runs) -> list[tuple[str, str]]:
    """Pairs that were given, if they name runs."""
    pairs = [as_list("pairs", pair, _PAIRS) for pair in as_list("pairs", given, _PAIRS)]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"pairs={quoted(given)}: give {_PAIRS}.")
    missing = [run for pair in pairs for run in pair if not (isinstance(run, str) and run in runs)]
    if missing or not pairs:
        raise InputError(
            f"pairs {quoted(pairs)} name {examples(missing) if missing else 'no run'}: give pairs "
            f"of the runs {examples(list(runs))}."
        )
    return [(source, target) for source, target in pairs]


def _check_control(name: str, substitute: _Runs, runs: _Runs, sources: set[str]) -> None:
    """Make sure that a control has the steps and layers of the runs."""
    remedy = "a dict by run, step and layer"
    check_type(Mapping, remedy, **{f"control {name!r}": substitute})
    for run, of_step in substitute.items():
        check_type(Mapping, remedy, **{f"run {run!r} of control {name!r}": of_step})
        for of_layer in of_step.values():
            check_type(Mapping, remedy, **{f"run {run!r} of control {name!r}": of_layer})
    for source in sources:
        layers = {step: len(of_step) for step, of_step in runs[source].items()}
        found = {step: len(of_step) for step, of_step in substitute.get(source, {}).items()}
        if found != layers:
            raise InputError(
                f"control {name!r} has other steps or layers of {source!r} than the runs ({found} "
                f"layers by step, not {layers}): a control is scored in place of the runs, so give "
                "the same."
            )
