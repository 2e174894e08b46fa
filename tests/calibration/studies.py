"""What is shown: each study simulates experiments of several kinds and sums them up in a table.

A study is a few conditions, a function that does one experiment of a condition, and one that sums
up all experiments. An experiment depends on its condition and its number alone, not on how many
are done or by how many processes.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import perfect
import regimes
from experiments import QUESTIONS, intervals_of_experiments, summarize_experiments
from scipy import stats
from simulations import (
    draw_latents,
    draw_network,
    draw_units,
    labelled,
    moved_copies,
    power_law,
    repeated,
    rotation,
)
from threadpoolctl import threadpool_limits

import convergent as cv

METRICS = tuple(cv.METRICS)
CEILINGS = ("split-half", "repeat-variance", "attainable")
NOISE_LEVELS = (0.5, 1.0, 2.0, 4.0)
MANY_STIMULI, FEW_STIMULI = 8000, 100
CLOSE_WITH_MANY, CLOSE_WITH_FEW = 0.02, 0.03
LEVEL = 0.95
COVERAGE = (0.93, 0.97)
FALSE_POSITIVES = (0.03, 0.07)
NOT_UNIFORM = 0.01
POWER = 0.8
VERDICTS = ("yes", "within error", "NO")

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Condition:
    """One kind of experiment, and how many are done of it.

    Attributes
    ----------
    name : str
        Of its table.
    settings : dict
        What `Study.experiment` takes.
    experiments : int
        Number.
    """

    name: str
    settings: dict[str, object]
    experiments: int

    def rng(self, number):
        """The random numbers of one experiment."""
        key = json.dumps(self.settings, sort_keys=True)
        return np.random.default_rng([zlib.crc32(key.encode()), number])


@dataclass(frozen=True)
class Study:
    """A question, the experiments that answer it, and the answer.

    Attributes
    ----------
    question : str
        In words.
    conditions : callable
        Number of experiments asked for -> the conditions.
    experiment : callable
        (rng, **settings) -> rows of one experiment.
    summarize : callable
        All rows, with the settings as columns -> the table.
    """

    question: str
    conditions: Callable[[int], list[Condition]]
    experiment: Callable[..., Rows]
    summarize: Callable[[pd.DataFrame], pd.DataFrame]


@contextmanager
def processes(jobs):
    """A pool in which each process computes with one thread; None for one job, done here."""
    if jobs == 1:
        with threadpool_limits(1):
            yield None
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _worker():
    """One thread; an interrupt is for the parent, who then asks for no more."""
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def experiments(study: str, condition: Condition, pool=None) -> Iterator[Rows]:
    """Rows of each experiment of a condition, in order."""
    do = partial(one_experiment, study, condition)
    numbers = range(condition.experiments)
    yield from map(do, numbers) if pool is None else pool.map(do, numbers)


def one_experiment(study: str, condition: Condition, number: int) -> Rows:
    """Rows of one experiment, with its number."""
    with warnings.catch_warnings():
        # at the strongest noise chance makes some reliability negative: counted in n_units
        warnings.filterwarnings("ignore", ".*the ceiling is not above 0", UserWarning)
        warnings.filterwarnings("ignore", ".*has no normalized score", UserWarning)
        warnings.filterwarnings("ignore", ".*more units than stimuli", UserWarning)
        rows = STUDIES[study].experiment(condition.rng(number), **condition.settings)
    return [{"experiment": number} | row for row in rows]


def table_of(condition: Condition, done: Sequence[Rows]) -> pd.DataFrame:
    """All rows of a condition, with its settings as columns."""
    rows = pd.DataFrame([row for several in done for row in several])
    settings = {
        name: "+".join(map(str, value)) if isinstance(value, list) else value
        for name, value in condition.settings.items()
    }
    return rows.assign(**settings)


# Ceilings


def _ceiling_conditions(asked):
    conditions = []
    for n, noise in product((60, 100, 200, 500, 2000, 8000), NOISE_LEVELS):
        # scores scatter less with more stimuli, and take longer
        number = max(2, round(asked * min(1, 100 / n)))
        settings = {"n_stimuli": n, "noise": noise, "ceilings": list(CEILINGS)}
        conditions.append(Condition(f"n{n}-noise{noise:g}", settings, number))
    return conditions


def perfect_model(rng, n_stimuli, noise, ceilings, q=30, repeats=6):
    """Scores of the noiseless responses themselves, moved by what the metric ignores."""
    true = power_law(n_stimuli, q, rng)
    target = labelled(repeated(true, noise, repeats, rng), "recorded")
    rows = []
    models = moved_copies(true, rng)
    for ceiling, metrics in product(ceilings, (["linear", "procrustes"], ["soft-matching"])):
        scores = cv.score(labelled(models[metrics[0]], "perfect"), target, metrics, ceiling=ceiling)
        rows += _chosen(cv.summary(scores), ceiling=ceiling)
    return rows


def _chosen(table, **labels):
    """Rows of a summary, with what is told of them."""
    columns = ["metric", "r", "ceiling", "normalized", "n_units"]
    rows = table[columns].rename(columns={"ceiling": "ceiling_r"}).to_dict("records")
    return [labels | row for row in rows]


def summarize_perfect(rows):
    """Mean over experiments of the normalized score of a perfect model, with its error."""
    by = ["metric", "ceiling", "noise", "n_stimuli"]
    table = _means(rows, by, "normalized").rename(columns={"mean": "normalized"})
    table["off_by"] = table["normalized"] - 1
    many = (table["n_stimuli"] >= MANY_STIMULI) & table["ceiling"].isin(
        ["split-half", "attainable"]
    )
    few = (table["n_stimuli"] >= FEW_STIMULI) & (table["ceiling"] == "attainable")
    table["wanted_within"] = np.where(many, CLOSE_WITH_MANY, np.where(few, CLOSE_WITH_FEW, np.nan))
    return _judged(table, np.abs(table["off_by"]) - table["wanted_within"])


def _reliability_conditions(asked):
    settings = perfect.reliability_settings()
    return [Condition(name, each, asked) for name, each in settings.items()]


def summarize_reliability(rows):
    """Mean over the experiments that give a number, and the share of these."""
    by = ["reliability", "n_stimuli", "repeats"]
    groups = rows.groupby(by, sort=False)["normalized"]
    table = groups.agg(
        experiments="size", given="count", normalized="mean", median="median", error="sem"
    ).reset_index()
    table["given"] /= table["experiments"]
    return _judged(table, np.abs(table["normalized"] - 1) - CLOSE_WITH_FEW)


def _response_conditions(asked):
    settings = perfect.response_settings()
    number = max(2, asked // 8)
    return [Condition(name, each, number) for name, each in settings.items()]


def summarize_responses(rows):
    """Mean over experiments of the normalized score of a perfect model, with its error."""
    groups = rows.groupby(["responses", "signal", "n_stimuli", "metric"], sort=False)["normalized"]
    table = groups.agg(experiments="count", normalized="mean", error="sem").reset_index()
    return _judged(table, np.abs(table["normalized"] - 1) - CLOSE_WITH_MANY)


def _subject_conditions(asked):
    return [
        Condition(
            f"n{n}-noise{noise:g}",
            {"n_stimuli": n, "noise": noise},
            max(2, round(asked * min(1, 100 / n))),
        )
        for n, noise in product((100, 500, 2000), NOISE_LEVELS)
    ]


def perfect_model_of_subjects(rng, n_stimuli, noise, each=10, repeats=6):
    """A perfect model of three subjects who have the same units, in an order of their own.

    For linear regression and Procrustes in axes of their own.
    """
    shared = power_law(n_stimuli, each, rng)
    rows = []
    for metrics in (["linear", "procrustes"], ["soft-matching"]):
        true = np.hstack([moved_copies(shared, rng)[metrics[0]] for _ in range(3)])
        trials = repeated(true, noise, repeats, rng)
        subject = np.repeat(["ann", "bob", "cat"], each)
        target = labelled(trials, "recorded", subject=("unit", subject))
        model = labelled(moved_copies(true, rng)[metrics[0]], "perfect")
        for ceiling in ("inter-subject", "split-half"):
            scores = cv.score(model, target, metrics, ceiling=ceiling)
            rows += _chosen(cv.summary(scores), ceiling=ceiling)
    return rows


def summarize_subjects(rows):
    """Mean normalized score of a perfect model, under the inter-subject ceiling and split-half."""
    by = ["metric", "ceiling", "noise", "n_stimuli"]
    return _means(rows, by, "normalized").rename(columns={"mean": "normalized"})


def _self_conditions(asked):
    number = max(2, asked // 20)
    return [
        Condition(f"n{n}-units{q}", {"n_stimuli": n, "n_units": q}, number)
        for n, q in product((30, 60, 200), (30, 200))
    ]


def own_copy(rng, n_stimuli, n_units):
    """A noise-free network, and its copy moved by what the metric ignores."""
    true = power_law(n_stimuli, n_units, rng)
    copies, rows = moved_copies(true, rng), []
    for metric in METRICS:
        source, target = labelled(copies[metric], "copy"), labelled(true, "network")
        scores = cv.score(source, target, metric, ceiling="self")
        deviation = np.abs(scores["normalized"].mean("fold") - 1).max()
        rows.append({"metric": metric, "deviation": float(deviation)})
    return rows


def summarize_copies(rows):
    """How far the normalized score of any unit of a copy is from 1, at most."""
    groups = rows.groupby(["metric", "n_stimuli", "n_units"], sort=False)
    table = groups["deviation"].agg(experiments="size", largest_deviation="max").reset_index()
    return _judged(table.assign(error=0.0), table["largest_deviation"] - 1e-6)


# Coverage


def _coverage_conditions(asked):
    common = {"samples": 500, "ceiling": "split-half"}
    several = {
        "stimuli-n200": {"n_stimuli": 200, "subjects": 0},
        "stimuli-n500": {"n_stimuli": 500, "subjects": 0},
        "subjects8-n200": {"n_stimuli": 200, "subjects": 8},
        "subjects8-n500": {"n_stimuli": 500, "subjects": 8},
        "subjects6-n200": {"n_stimuli": 200, "subjects": 6},
        "stimuli-n200-attainable": {"n_stimuli": 200, "subjects": 0, "ceiling": "attainable"},
    }
    return [Condition(name, common | settings, asked) for name, settings in several.items()]


def two_sources(rng, n_stimuli, subjects, noise=(0.5, 0.7), repeats=6):
    """Noisy copies of the network, and a recording that both predict in part.

    Without subjects, the units are the same in every experiment; otherwise the subjects are new.
    """
    units = draw_units(np.random.default_rng(2))
    if subjects:
        units = draw_units(rng, subjects, of_each=8, spread=0.12)
    latent = draw_latents(n_stimuli, rng)
    trials = units.record(latent, repeats, rng)
    target = labelled(trials, "recorded", subject=("unit", units.subject))
    sources = {
        name: labelled(draw_network(latent, size, rng), "network")
        for name, size in zip("ABCDE", noise, strict=False)
    }
    return sources, target


def _seed(rng):
    """For what the package draws itself."""
    return int(rng.integers(2**31))


def _over(subjects):
    return ("stimuli", "subjects") if subjects else ("stimuli",)


def intervals(rng, n_stimuli, subjects, samples, ceiling, metrics=METRICS):
    """Estimates and 95% intervals of scores and of paired differences."""
    sources, target = two_sources(rng, n_stimuli, subjects)
    bootstrap = cv.Bootstrap(samples, over=_over(subjects), seed=_seed(rng))
    scores = cv.score(sources, target, metrics, ceiling=ceiling, bootstrap=bootstrap)
    return _all_intervals(scores)


def _regime_conditions(asked):
    return [Condition(name, {"regime": name, "samples": 300}, asked) for name in regimes.REGIMES]


def intervals_of_regime(rng, regime, samples, metrics=("linear",)):
    """Estimates and 95% intervals, as `intervals` gives them."""
    with warnings.catch_warnings():  # which are right for heavy tails
        warnings.filterwarnings("ignore", ".*is driven by few stimuli", UserWarning)
        scores = regimes.scored(rng, samples, list(metrics), **regimes.REGIMES[regime])
    return _all_intervals(scores)


def _all_intervals(scores):
    rows = []
    for row in cv.summary(scores).to_dict("records"):
        for value in ("r", "normalized"):
            low, high = (row[f"{value}_{end}"] for end in ("low", "high"))
            rows.append(_interval(row["metric"], value, row["source"], row[value], low, high))
    for value in ("r", "normalized"):
        for row in cv.differences(scores, value=value).to_dict("records"):
            ends = (row[key] for key in ("difference", "low", "high"))
            rows.append(_interval(row["metric"], f"difference of {value}", "A - B", *ends))
    return rows


def _interval(metric, quantity, source, estimate, low, high):
    labels = {"metric": metric, "quantity": quantity, "source": source}
    return labels | {"estimate": estimate, "low": low, "high": high}


def summarize_coverage(rows):
    """How often intervals hold the truth: the mean over all experiments of that size."""
    of_regime = [name for name in ("regime", "n_stimuli", "subjects", "ceiling") if name in rows]
    by = [*of_regime, "metric", "quantity", "source"]
    table = []
    for labels, group in rows.groupby(by, sort=False):
        truth, sd = group["estimate"].mean(), group["estimate"].std()
        too_low, too_high = (group["high"] < truth).mean(), (group["low"] > truth).mean()
        covered = 1 - too_low - too_high
        half = ((group["high"] - group["low"]) / 2).mean()
        table.append(
            dict(zip(by, labels, strict=True))
            | {"experiments": len(group), "truth": truth, "sd": sd}
            | {"half_width": half, "half_width_over_sd": half / sd}
            | {"coverage": covered, "error": _binomial_error(covered, len(group))}
            | {"too_low": too_low, "too_high": too_high}
        )
    table = pd.DataFrame(table)
    return _judged(table, _outside(table["coverage"], COVERAGE))


def _experiment_conditions(asked):
    settings = {"n_stimuli": 90, "noise": 0.7, "samples": 80}
    return [Condition(name, {"question": name} | settings, asked) for name in QUESTIONS]


def _summarize_experiments(rows):
    return summarize_experiments(rows, COVERAGE, _judged, _binomial_error)


# Null distributions


def _shuffle_conditions(asked):
    return [Condition("n60", {"n_stimuli": 60, "shuffles": 99}, asked)]


def unrelated(rng, n_stimuli, shuffles):
    """P against shuffles of a source that has nothing to do with the target."""
    source = labelled(power_law(n_stimuli, 40, rng), "network")
    target = labelled(repeated(power_law(n_stimuli, 20, rng), 1.0, 4, rng), "recorded")
    shuffle = cv.Shuffle(shuffles, seed=_seed(rng))
    table = cv.summary(cv.score(source, target, METRICS, ceiling=None, shuffle=shuffle))
    return [_p_row("shuffle", m, p, shuffles, rng) for m, p in _pairs(table, "p_shuffle")]


def _rotation_conditions(asked):
    return [Condition("n60", {"n_stimuli": 60, "rotations": 99}, asked)]


def rotated_source(rng, n_stimuli, rotations):
    """P of the privileged-axis test of a source that is a rotation of the target's signal."""
    true = power_law(n_stimuli, 20, rng)
    source = labelled(true @ rotation(20, rng), "network")
    target = labelled(repeated(true, 1.0, 4, rng), "recorded")
    table = cv.privileged_axis(source, target, rotations=rotations, seed=_seed(rng))
    return [_p_row("privileged axis", m, p, rotations, rng) for m, p in _pairs(table, "p")]


def _difference_conditions(asked):
    return [
        Condition(name, {"n_stimuli": n, "subjects": subjects, "samples": 500}, asked)
        for name, n, subjects in (("stimuli-n200", 200, 0), ("subjects8-n200", 200, 8))
    ]


def equally_good(rng, n_stimuli, subjects, samples, metrics=METRICS):
    """P of the paired difference of two sources that are equally good."""
    sources, target = two_sources(rng, n_stimuli, subjects, noise=(0.5, 0.5))
    bootstrap = cv.Bootstrap(samples, over=_over(subjects), seed=_seed(rng))
    scores = cv.score(sources, target, metrics, ceiling=None, bootstrap=bootstrap)
    test = "difference, stimuli" + (" and subjects" if subjects else "")
    rows = cv.differences(scores).to_dict("records")
    return [
        {"test": test, "metric": row["metric"], "p": row["p"], "uniform": row["p"]}
        | {"difference_found": row["difference"]}
        for row in rows
    ]


def _pairs(table, column):
    return zip(table["metric"], table[column], strict=True)


def _p_row(test, metric, p, n_null, rng):
    """P comes in steps of 1 / (1 + N): spread over its step, it is uniform where it should be."""
    labels = {"test": test, "metric": metric, "p": p}
    return labels | {"uniform": p - rng.random() / (1 + n_null)}


def summarize_p(rows):
    """Kolmogorov and Smirnov's test of uniform p, and how often p is below 5%."""
    table = []
    for (test, metric), group in rows.groupby(["test", "metric"], sort=False):
        found = stats.kstest(group["uniform"], "uniform")
        positive = (group["p"] <= 1 - LEVEL).mean()
        table.append(
            {"test": test, "metric": metric, "experiments": len(group)}
            | {"ks_distance": found.statistic, "ks_p": found.pvalue}
            | {"false_positives": positive, "error": _binomial_error(positive, len(group))}
        )
    table = pd.DataFrame(table)
    missed = _outside(table["false_positives"], FALSE_POSITIVES)
    return _judged(table, np.where(table["ks_p"] > NOT_UNIFORM, missed, np.inf))


# The set of the best

NEAR, EQUAL = [0.5, 0.55, 0.6, 0.8, 1.2], [0.5] * 5


def _best_conditions(asked):
    several = {
        "near-n200": {"subjects": 0, "noise": NEAR},
        "equal-n200": {"subjects": 0, "noise": EQUAL},
        "equal-subjects8-n200": {"subjects": 8, "noise": EQUAL, "metrics": ["linear"]},
    }
    common = {"n_stimuli": 200, "samples": 500}
    return [Condition(name, common | settings, asked) for name, settings in several.items()]


def five_sources(rng, n_stimuli, subjects, noise, samples, metrics=METRICS):
    """Which of five sources are kept as perhaps the best."""
    sources, target = two_sources(rng, n_stimuli, subjects, noise)
    bootstrap = cv.Bootstrap(samples, over=_over(subjects), seed=_seed(rng))
    scores = cv.score(sources, target, metrics, ceiling=None, bootstrap=bootstrap)
    return cv.best(scores)[["metric", "source", "r", "among_best"]].to_dict("records")


def summarize_best(rows):
    """How often the truly best source is kept, and how many are.

    Where all are equal each is truly the best: the mean over them, with the error over experiments.
    """
    table = []
    for labels, group in rows.groupby(["n_stimuli", "subjects", "noise", "metric"], sort=False):
        kept = group.pivot_table(index="experiment", columns="source", values="among_best")
        equal = len(set(labels[2].split("+"))) == 1
        share = kept.mean(axis=1) if equal else kept["A"]
        rate = share.mean()
        error = share.std() / np.sqrt(len(share)) if equal else _binomial_error(rate, len(share))
        table.append(
            {"n_stimuli": labels[0], "subjects": labels[1]}
            | {"sources": "equally good" if equal else "one is best", "metric": labels[3]}
            | {"experiments": len(share), "best_is_kept": rate, "error": error}
            | {"number_kept": kept.sum(axis=1).mean()}
        )
    table = pd.DataFrame(table)
    return _judged(table, LEVEL - table["best_is_kept"])


# Power


def _power_conditions(asked):
    return [
        Condition(f"n{n}", {"n_stimuli": n, "repeats": [2, 4, 8, 16], "samples": 300}, asked)
        for n in (100, 200, 400, 800, 1600)
    ]


POWER_BASE = 0.5
POWER_STEPS = np.array([0.06, 0.12, 0.2, 0.3, 0.45, 0.7])
POWER_METRIC = "linear"


def worse_sources(rng, n_stimuli, repeats, samples):
    """P of the paired difference of a source, and of others that are worse by and by."""
    steps = POWER_STEPS * (400 / n_stimuli) ** 0.5
    units = draw_units(np.random.default_rng(2))
    latent = draw_latents(n_stimuli, rng)
    trials = units.record(latent, max(repeats), rng)
    targets = {str(k): labelled(trials[..., :k], f"{k} repeats") for k in repeats}
    sources = {
        f"{step:.4f}": labelled(draw_network(latent, POWER_BASE + step, rng), "network")
        for step in (0, *steps)
    }
    bootstrap = cv.Bootstrap(samples, seed=_seed(rng))
    scores = cv.score(sources, targets, POWER_METRIC, ceiling=None, bootstrap=bootstrap)
    table = cv.differences(scores, reference=next(iter(sources)))
    ceiling = {str(k): np.median(1 / np.sqrt(1 + units.noise**2 / k)) for k in repeats}
    return [
        {"n_repeats": int(row["target"]), "more_noise": float(row["first"])}
        | {"true_ceiling": ceiling[row["target"]]}
        | {"difference": -row["difference"], "p": row["p"]}
        for row in table.to_dict("records")
    ]


def summarize_power(rows):
    """Least true difference that is found in 80% of experiments, by interpolation.

    With few repeats r is low, and so are differences of r: divided by the true ceiling (of the
    median unit) they compare what the sources are, not how noisy the recording is.
    """
    table = []
    for (n, repeats), group in rows.groupby(["n_stimuli", "n_repeats"], sort=False):
        difference, found = (
            frame.pivot_table(index="experiment", columns="more_noise", values=name).to_numpy()
            for name, frame in (
                ("difference", group),
                ("found", group.assign(found=(group["p"] < 1 - LEVEL) & (group["difference"] > 0))),
            )
        )
        rng = np.random.default_rng(0)
        again = rng.integers(len(found), size=(200, len(found)))
        draws = [_smallest(difference[i].mean(0), found[i].mean(0)) for i in again]
        smallest = _smallest(difference.mean(0), found.mean(0))
        table.append(
            {"n_stimuli": n, "repeats": repeats, "experiments": len(found)}
            | {"smallest_difference": smallest, "error": np.nanstd(draws)}
            | {"true_ceiling": group["true_ceiling"].iloc[0]}
            | {"found_least": found.mean(0).min(), "found_most": found.mean(0).max()}
        )
    table = pd.DataFrame(table)
    normalized = table["smallest_difference"] / table["true_ceiling"]
    return table.assign(smallest_normalized=normalized)


def _smallest(difference, found):
    """Where the share found rises through 80%; NaN where it does not."""
    share = np.maximum.accumulate(found)
    after = int(np.searchsorted(share, POWER))
    if after == 0 or after == len(share):
        return np.nan
    x, y = difference[after - 1 : after + 1], share[after - 1 : after + 1]
    return float(x[0] + (POWER - y[0]) / (y[1] - y[0]) * (x[1] - x[0]))


def power_curves(rows):
    """Share of experiments in which each difference is found."""
    rows = rows.assign(found=(rows["p"] < 1 - LEVEL) & (rows["difference"] > 0))
    groups = rows.groupby(["n_stimuli", "n_repeats", "more_noise"], sort=False)
    table = groups.agg(
        experiments=("p", "size"), true_difference=("difference", "mean"), found=("found", "mean")
    ).reset_index()
    return table.assign(error=_binomial_error(table["found"], table["experiments"]))


# What all share


def _means(rows, by, value):
    """Mean over experiments and its standard error."""
    groups = rows.groupby(by, sort=False)
    table = groups[value].agg(experiments="count", mean="mean", error="sem").reset_index()
    return table.merge(groups["n_units"].mean().rename("n_units").reset_index(), on=by)


def _binomial_error(rate, number):
    """Standard error of a share; not 0 where the share found is 0 or 1 (Agresti and Coull)."""
    rate = (rate * number + 2) / (number + 4)
    return np.sqrt(rate * (1 - rate) / (number + 4))


def _outside(values, ends):
    """By how much values lie outside a range; negative within."""
    return np.maximum(ends[0] - values, values - ends[1])


def _judged(table, missed):
    """Say of each row by how much it misses what is wanted; '' where nothing is wanted.

    Up to two Monte-Carlo standard errors it may be chance.
    """
    said = np.select([missed <= 0, missed <= 2 * table["error"], missed > 0], VERDICTS, "")
    return table.assign(meets=said)


STUDIES = {
    "ceilings": Study(
        "What does a perfect model score, normalized?",
        _ceiling_conditions,
        perfect_model,
        summarize_perfect,
    ),
    "reliability": Study(
        "What does a perfect model score at any reliability, normalized by the aggregate?",
        _reliability_conditions,
        perfect.perfect_without_fit,
        summarize_reliability,
    ),
    "responses": Study(
        "What does a perfect model score under the attainable ceiling?",
        _response_conditions,
        perfect.perfect_of_kind,
        summarize_responses,
    ),
    "inter-subject": Study(
        "What does a perfect model score, normalized by how well subjects predict each other?",
        _subject_conditions,
        perfect_model_of_subjects,
        summarize_subjects,
    ),
    "self": Study(
        "Does the moved copy of a noise-free network score 1?",
        _self_conditions,
        own_copy,
        summarize_copies,
    ),
    "coverage": Study(
        "How often do 95% intervals hold the truth?",
        _coverage_conditions,
        intervals,
        summarize_coverage,
    ),
    "regimes": Study(
        "How often do 95% intervals hold the truth where responses are not Gaussian?",
        _regime_conditions,
        intervals_of_regime,
        summarize_coverage,
    ),
    "experiments": Study(
        "How often do 95% intervals of the experiments hold the truth?",
        _experiment_conditions,
        intervals_of_experiments,
        _summarize_experiments,
    ),
    "null-shuffle": Study(
        "Is p against shuffles uniform where source and target are unrelated?",
        _shuffle_conditions,
        unrelated,
        summarize_p,
    ),
    "null-rotation": Study(
        "Is p of the privileged-axis test uniform where the source is rotated at random?",
        _rotation_conditions,
        rotated_source,
        summarize_p,
    ),
    "null-difference": Study(
        "Is p of a paired difference uniform where two sources are equally good?",
        _difference_conditions,
        equally_good,
        summarize_p,
    ),
    "best": Study(
        "How often is the truly best of five sources kept?",
        _best_conditions,
        five_sources,
        summarize_best,
    ),
    "power": Study(
        "What is the smallest true difference of r found in 80% of experiments?",
        _power_conditions,
        worse_sources,
        summarize_power,
    ),
}
