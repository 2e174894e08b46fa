"""Figures of the calibration, to be understood without a caption."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats
from studies import CEILINGS, CLOSE_WITH_FEW, COVERAGE, FALSE_POSITIVES, LEVEL, METRICS, NEAR

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
GREY = "0.85"
TWO_SIDED = 1.96


def ceilings(found):
    """Normalized score of a perfect model against the number of stimuli."""
    _, table = found["ceilings"]
    noises = sorted(table["noise"].unique())
    figure = Figure(figsize=(11, 2.4 * len(noises) + 1.2), layout="constrained")
    panels = figure.subplots(len(noises), len(METRICS), sharex=True, sharey="row", squeeze=False)
    for (i, noise), (j, metric) in product(enumerate(noises), enumerate(METRICS)):
        panel = panels[i, j]
        panel.axhspan(1 - CLOSE_WITH_FEW, 1 + CLOSE_WITH_FEW, color=GREY, label="1 ± 0.03")
        panel.axhline(1, color="black", linewidth=0.8)
        for ceiling, colour in zip(CEILINGS, COLOURS, strict=False):
            here = (table["noise"] == noise) & (table["metric"] == metric)
            rows = table[here & (table["ceiling"] == ceiling)].sort_values("n_stimuli")
            _line(panel, rows["n_stimuli"], rows["normalized"], rows["error"], colour, ceiling)
        panel.set_xscale("log")
        if j == 0:
            panel.set_ylabel(f"noise of a repeat {noise:g} × signal\nscore / ceiling")
        if i == 0:
            panel.set_title(metric)
        if i == len(noises) - 1:
            _number_ticks(panel.xaxis, table["n_stimuli"])
            panel.set_xlabel("number of stimuli")
    _legend(figure, panels, "ceiling (bars: 95% Monte-Carlo error)")
    figure.suptitle(
        "A perfect model, 30 units, 6 repeats: its score should equal the ceiling (1)",
        x=0.01,
        ha="left",
    )
    return figure


def inter_subject(found):
    """Normalized score of a perfect model under the inter-subject ceiling."""
    _, table = found["inter-subject"]
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, len(METRICS), sharey=True, squeeze=False)
    kinds = (("inter-subject", "-"), ("split-half", ":"))
    for panel, metric in zip(panels.flat, METRICS, strict=True):
        panel.axhline(1, color="black", linewidth=0.8)
        for (ceiling, style), (i, noise) in product(
            kinds, enumerate(sorted(table["noise"].unique()))
        ):
            here = (table["metric"] == metric) & (table["ceiling"] == ceiling)
            rows = table[here & (table["noise"] == noise)].sort_values("n_stimuli")
            label = f"{ceiling}, noise {noise:g} × signal"
            values = rows["n_stimuli"], rows["normalized"], rows["error"]
            _line(panel, *values, COLOURS[i], label, linestyle=style)
        panel.set_xscale("log")
        panel.set_yscale("log")
        _number_ticks(panel.xaxis, table["n_stimuli"])
        _number_ticks(panel.yaxis, [0.9, 1, 1.2, 1.5, 2])
        panel.set_xlabel("number of stimuli")
        panel.set_title(metric)
    panels[0, 0].set_ylabel("score / ceiling")
    _legend(figure, panels, "ceiling (bars: 95% Monte-Carlo error)")
    figure.suptitle(
        "A perfect model of three subjects, 6 repeats: it can exceed the other subjects, "
        "who are recorded with noise",
        x=0.01,
        ha="left",
    )
    return figure


def coverage(found):
    """How often 95% intervals hold the truth."""
    _, table = found["coverage"]
    setting = ["n_stimuli", "subjects", "ceiling"]
    conditions = list(table.groupby(setting, sort=False))
    figure = Figure(figsize=(11, 3.4 * -(-len(conditions) // 3) + 0.8), layout="constrained")
    panels = figure.subplots(-(-len(conditions) // 3), 3, sharex=True, sharey=True, squeeze=False)
    for panel, ((n, subjects, ceiling), rows) in zip(panels.flat, conditions, strict=False):
        quantities = list(dict.fromkeys(zip(rows["quantity"], rows["source"], strict=True)))
        panel.axvspan(*COVERAGE, color=GREY, label="wanted: 93% to 97%")
        panel.axvline(LEVEL, color="black", linewidth=0.8)
        for i, metric in enumerate(METRICS):
            own = rows[rows["metric"] == metric]
            named = zip(own["quantity"], own["source"], strict=True)
            places = [quantities.index(name) + 0.2 * (i - 1) for name in named]
            bars = TWO_SIDED * own["error"]
            panel.errorbar(
                own["coverage"], places, xerr=bars, fmt="o", color=COLOURS[i], ms=4, label=metric
            )
        words = [f"{quantity}, {source}" for quantity, source in quantities]
        panel.set_yticks(range(len(quantities)), words)
        drawn = f"stimuli and {subjects} subjects" if subjects else "stimuli"
        panel.set_title(f"drawn anew: {drawn}\n{n} stimuli, ceiling {ceiling}", fontsize="medium")
    for panel in panels.flat[len(conditions) :]:
        panel.remove()
    panels[0, 0].invert_yaxis()
    for panel in panels[-1]:
        panel.set_xlabel("intervals that hold the truth (share)")
    number = table["experiments"].min()
    _legend(figure, panels[:1], f"metric (bars: 95% error,\n{number} experiments)")
    return figure


def null(found):
    """Quantiles of p under the null, and how often it is below 5%."""
    names = ("null-shuffle", "null-rotation", "null-difference")
    tests = [
        (test, rows, table[table["test"] == test])
        for several, table in (found[name] for name in names)
        for test, rows in several.groupby("test", sort=False)
    ]
    figure = Figure(figsize=(3.4 * len(tests) + 1.5, 6), layout="constrained")
    panels = figure.subplots(2, len(tests), squeeze=False, height_ratios=(3, 1.4), sharey="row")
    for (test, rows, table), (above, below) in zip(tests, panels.T, strict=True):
        size = rows.groupby("metric").size().max()
        k = np.arange(1, size + 1)
        expected = k / (size + 1)
        band = stats.beta.ppf([[0.025], [0.975]], k, size + 1 - k)
        above.fill_between(expected, *band, color=GREY, label="95% of experiments, each point")
        above.plot([0, 1], [0, 1], color="black", linewidth=0.8)
        for metric, own in rows.groupby("metric", sort=False):
            p, colour = np.sort(own["uniform"]), COLOURS[METRICS.index(metric)]
            above.plot(np.arange(1, len(p) + 1) / (len(p) + 1), p, color=colour, label=metric)
        above.set_title(test, fontsize="medium")
        above.set_xlabel("quantile if p is uniform")
        below.axhspan(*FALSE_POSITIVES, color=GREY)
        below.spines[["top", "right"]].set_visible(False)
        below.axhline(1 - LEVEL, color="black", linewidth=0.8)
        colours = [COLOURS[METRICS.index(metric)] for metric in table["metric"]]
        for i, (_, row) in enumerate(table.iterrows()):
            error = TWO_SIDED * row["error"]
            below.errorbar(i, row["false_positives"], yerr=error, fmt="o", color=colours[i])
        below.set_xticks(range(len(table)), table["metric"], fontsize="small")
        below.set_xlim(-0.6, len(table) - 0.4)
    panels[0, 0].set_ylabel("quantile of p found")
    panels[1, 0].set_ylabel("share of p ≤ 0.05\n(wanted: 3% to 7%)")
    _legend(figure, panels[:1], "metric (bars: 95% error)")
    figure.suptitle("Nothing is there to be found: p should be uniform", x=0.01, ha="left")
    return figure


def best(found):
    """How often the truly best source is kept, and how many are."""
    _, table = found["best"]
    conditions = list(table.groupby(["sources", "n_stimuli", "subjects"], sort=False))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, squeeze=False)
    for i, metric in enumerate(METRICS):
        own = [group[group["metric"] == metric] for _, group in conditions]
        x = np.repeat(np.arange(len(own)), [len(rows) for rows in own]) + 0.15 * (i - 1)
        rows = pd.concat(own)
        style = {"yerr": TWO_SIDED * rows["error"], "fmt": "o", "label": metric}
        panels[0, 0].errorbar(x, rows["best_is_kept"], color=COLOURS[i], **style)
        panels[0, 1].plot(x, rows["number_kept"], "o", color=COLOURS[i])
    panels[0, 0].axhline(LEVEL, color="black", linewidth=0.8, label="wanted: 95% or more")
    panels[0, 0].set_ylabel("experiments in which the truly\nbest source is kept (share)")
    panels[0, 1].set_ylabel("sources kept, of five (mean)")
    panels[0, 1].set_ylim(0, len(NEAR) + 0.2)
    words = [f"{s},\n{n} stimuli" + f",\n{k} subjects" * (k > 0) for (s, n, k), _ in conditions]
    for panel in panels.flat:
        panel.set_xticks(range(len(words)), words, fontsize="small")
    _legend(figure, panels, "metric (bars: 95% error)")
    return figure


def power(found):
    """Smallest true difference found in 80% of experiments: what to plan an experiment with."""
    _, table = found["power"]
    figure = Figure(figsize=(10.5, 5), layout="constrained")
    panels = figure.subplots(1, 2, squeeze=False, sharex=True, sharey=True)
    several = (("r", 1.0), ("normalized r (r / ceiling)", table["true_ceiling"]))
    for panel, (words, divisor) in zip(panels.flat, several, strict=True):
        values = table.assign(y=table["smallest_difference"] / divisor, e=table["error"] / divisor)
        for colour, (repeats, rows) in zip(COLOURS, values.groupby("repeats"), strict=False):
            rows = rows.sort_values("n_stimuli")
            _line(panel, rows["n_stimuli"], rows["y"], rows["e"], colour, f"{repeats} times")
        panel.set_xscale("log")
        panel.set_yscale("log")
        _number_ticks(panel.xaxis, table["n_stimuli"])
        _number_ticks(panel.yaxis, [0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2])
        panel.set_xlabel("number of stimuli")
        panel.set_title(f"difference of {words}", fontsize="medium")
        panel.grid(color=GREY, linewidth=0.6)
    panels[0, 0].set_ylabel("smallest true difference of two sources\nfound in 80% of experiments")
    _legend(figure, panels, "each stimulus shown\n(bars: 95% error)")
    figure.suptitle(
        "Simulated: 30 units, noise of a repeat 1 to 2.5 × signal (SD); linear metric, five folds\n"
        "two networks of 60 units with noise of their own; paired difference, p < 0.05, for other "
        "stimuli and the same units",
        fontsize="small",
        x=0.01,
        ha="left",
    )
    return figure


FIGURES = {
    "ceilings": (("ceilings",), ceilings),
    "inter-subject": (("inter-subject",), inter_subject),
    "coverage": (("coverage",), coverage),
    "null": (("null-shuffle", "null-rotation", "null-difference"), null),
    "best": (("best",), best),
    "power": (("power",), power),
}


def _line(panel, x, y, error, colour, label, **style):
    panel.errorbar(
        x, y, yerr=TWO_SIDED * error, color=colour, marker="o", ms=3.5, lw=1.3, label=label, **style
    )


def _number_ticks(axis, values):
    """Ticks at these values of a logarithmic axis, as plain numbers."""
    ticks = sorted(set(values))
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks], fontsize="small")
    axis.set_ticks([], minor=True)


def _legend(figure, panels, title):
    known = {}
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        handles, labels = panel.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    figure.legend(
        handles=list(known.values()),
        labels=list(known),
        loc="outside right center",
        frameon=False,
        title=title,
        fontsize="small",
    )
