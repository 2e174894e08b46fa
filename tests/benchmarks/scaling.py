"""How the cost of a score grows with each size, the others held fixed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from workloads import Data, Found, Program, Workload, assembly, populations

import convergent as cv

BASE = {"stimuli": 500, "units": 4000, "targets": 500, "layers": 1, "penalties": 21}
TINY = {"stimuli": 60, "units": 80, "targets": 20, "layers": 1, "penalties": 21}
SIZES = {
    "stimuli": [125, 250, 500, 1000, 2000, 4000],
    "units": [2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000],
    "targets": [250, 500, 1000, 2000, 4000, 8000, 16_000],
    "layers": [1, 2, 4, 8, 16],
    "penalties": [5, 10, 20, 40, 80],
}
MOST = {"units": 32_000, "targets": 4000}  # for soft matching, which takes longer
# a study that no one machine would do: 8 subjects, one after the other
BEYOND = {"stimuli": 10_000, "units": 1_000_000, "targets": 20_000, "layers": 100}
SUBJECTS = 8
FITTED = 3  # the largest sizes, which tell how it goes on
COLOURS = {"linear": "#0072b2", "procrustes": "#d55e00", "soft-matching": "#009e73"}


def make(sizes: dict[str, int], folder: Path, small: bool) -> None:
    """Layers of a network, and a target."""
    sizes = TINY if small else sizes
    counts = [sizes["units"]] * sizes["layers"]
    *layers, target = populations(sizes["stimuli"], [*counts, sizes["targets"]])
    np.save(folder / "layers.npy", np.stack(layers))
    np.save(folder / "target.npy", target)


def score(metric: str, penalties: int, data: Data) -> Found:
    """From arrays to scores, with five folds."""
    chosen: Any = cv.Linear(tuple(np.logspace(-4, 6, penalties))) if metric == "linear" else metric
    layers = {f"{i:02d}": assembly(values) for i, values in enumerate(data["layers"])}
    target, device = assembly(data["target"]), data["device"]
    scores = cv.score(
        layers, target, chosen, ceiling=None, units=False, device=device, progress=False
    )
    return {"r": scores["r"].values}


def _workload(varied: str, size: int) -> Workload:
    sizes = BASE | {varied: size}
    metrics = ["linear"] if varied == "penalties" else list(cv.METRICS)
    if size > MOST.get(varied, size):
        metrics.remove("soft-matching")
    programs = {m: Program(partial(score, m, sizes["penalties"])) for m in metrics}
    return Workload(f"{size} {varied}", partial(make, sizes), programs, lambda *_: {})


WORKLOADS = {
    f"scaling-{varied}-{size}": _workload(varied, size)
    for varied, sizes in SIZES.items()
    for size in sizes
}


def write(folder: Path, runs: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    """The points with the exponents fitted to them, as a table and as a picture."""
    rows = []
    for name, programs in runs.items():
        _, varied, size = name.split("-")
        for metric, several in programs.items():
            seconds = [run["seconds"] for run in several]
            if seconds:
                growth = float(np.median([run["growth_mb"] for run in several]))
                each = (float(np.median(seconds)), min(seconds), max(seconds), growth)
                rows.append((varied, metric, int(size), *each))
    points = pd.DataFrame(
        rows,
        columns=["varied", "metric", "size", "seconds", "seconds_min", "seconds_max", "growth_mb"],
    )
    lines = points.groupby(["varied", "metric"], sort=False).apply(fitted, include_groups=False)
    table = points.merge(lines.reset_index(), on=["varied", "metric"])
    table["held_fixed"] = [
        json.dumps({k: v for k, v in BASE.items() if k != varied}) for varied in table["varied"]
    ]
    table.to_csv(folder / "scaling.csv", index=False)
    beyond(table).to_csv(folder / "beyond.csv", index=False)
    with mpl.rc_context({"font.size": 9}):
        figure = draw(table)
        figure.savefig(folder / "scaling.png", dpi=150)
        plt.close(figure)


def fitted(points: pd.DataFrame) -> pd.Series:
    """Exponent and factor of seconds = factor * size^exponent, through the largest sizes."""
    last = points.nlargest(FITTED, "size")
    exponent, logarithm = np.polyfit(np.log(last["size"]), np.log(last["seconds"]), 1)
    ten = 10 * last["size"].max()
    return pd.Series(
        {
            "exponent": exponent,
            "factor": np.exp(logarithm),
            "ten_times_the_largest": ten,
            "seconds_there": np.exp(logarithm) * ten**exponent,
        }
    )


def beyond(table: pd.DataFrame) -> pd.DataFrame:
    """Expected cost of a study beyond this machine, from what was measured and its exponents.

    Growth with one size is taken not to depend on the others, so it is the product of all.
    """
    rows = []
    for metric, measured in table[table["varied"].isin(BEYOND)].groupby("metric", sort=False):
        fixed = measured["size"] == measured["varied"].map(BASE)
        seconds = float(measured[fixed]["seconds"].median()) * SUBJECTS
        for varied, line in measured.groupby("varied"):
            largest = line.loc[line["size"].idxmax()]
            base = line[line["size"] == BASE[varied]]["seconds"].iloc[0]
            seconds *= largest["seconds"] / base
            seconds *= (BEYOND[varied] / largest["size"]) ** largest["exponent"]
        rows.append({"metric": metric, **BEYOND, "subjects": SUBJECTS, "days": seconds / 86400})
    return pd.DataFrame(rows)


def _short(size: int) -> str:
    return str(size) if size < 1000 else f"{size / 1000:g}k"


_TIMES = {0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min"}
_TIMES |= {3600: "1 h", 36_000: "10 h"}


def draw(table: pd.DataFrame) -> plt.Figure:
    """A panel for each size: measured points, and the line through the largest."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 6.6), sharey=True, layout="constrained")
    powers: dict[plt.Axes, list[tuple[float, float, str, str]]] = {}
    for axis, (varied, points) in zip(axes.flat, table.groupby("varied", sort=False), strict=False):
        axis.set(xscale="log", yscale="log")
        axis.axvline(BASE[varied], color="0.85", linewidth=4, zorder=0)
        of_metric = points.groupby("metric")
        powers[axis] = [_draw_growth(axis, metric, line) for metric, line in of_metric]
        sizes = sorted(points["size"].unique())
        axis.set_xticks(sizes, [_short(size) for size in sizes])
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axis.set(xlabel=f"number of {varied}", xlim=(sizes[0] / 1.3, sizes[-1] * 2.6))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="0.92")
    low, high = axes[0, 0].get_ylim()
    times = {time: text for time, text in _TIMES.items() if low <= time <= high}
    axes[0, 0].set_yticks(list(times), list(times.values()))
    axes[0, 0].yaxis.set_minor_locator(mpl.ticker.NullLocator())
    for axis in axes[:, 0]:
        axis.set_ylabel("time of a score")
    for axis, ends in powers.items():  # when all share their scale of times
        _name_growth(axis, ends)
    _explain(axes.flat[-1], list(dict.fromkeys(table["metric"])))
    title = "Time of convergent.score (five folds, one metric) as one size grows"
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _draw_growth(axis: plt.Axes, metric: str, line: pd.DataFrame) -> tuple[float, float, str, str]:
    """Points, and the power law through the largest; its end (x, y), text and colour."""
    line = line.sort_values("size")
    exponent, factor = line["exponent"].iloc[0], line["factor"].iloc[0]
    colour = COLOURS[metric]
    axis.plot(line["size"], line["seconds"], "o", color=colour, markersize=4)
    axis.vlines(line["size"], line["seconds_min"], line["seconds_max"], color=colour)
    ends = np.array([line["size"].nlargest(FITTED).min(), line["size"].max()])
    axis.plot(ends, factor * ends**exponent, color=colour)
    return float(ends[-1]), float(factor * ends[-1] ** exponent), f"$n^{{{exponent:.1f}}}$", colour


def _name_growth(axis: plt.Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """The power of each line at its end; of lines that end together, one above the other."""
    low, high = axis.get_ylim()
    apart = (high / low) ** 0.075
    least: dict[float, float] = {}
    for x, seconds, text, colour in sorted(ends):
        y = max(seconds, least.get(x, 0.0))
        least[x] = y * apart
        axis.text(1.15 * x, y, text, color=colour, va="center")


def _explain(axis: plt.Axes, metrics: list[str]) -> None:
    """What is seen, in place of a panel."""
    fixed = [f"{size:,} {name}" for name, size in BASE.items()]
    words = [
        "Each panel varies one size. The others stay at",
        *(f"    {each}".replace("1 layers", "1 layer") for each in fixed),
        "(grey in the panel of each).",
        "Dots: measured, median; bars: least to most.",
        f"Lines: power law through the {FITTED} largest sizes;",
        "their powers at the ends.",
    ]
    axis.set_axis_off()
    axis.text(0, 1, "\n".join(words), va="top", linespacing=1.4, transform=axis.transAxes)
    lines = [
        mpl.lines.Line2D([], [], color=COLOURS[one], marker="o", markersize=4, label=one)
        for one in metrics
    ]
    axis.legend(handles=lines, loc="lower left", frameon=False)
