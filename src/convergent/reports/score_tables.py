"""Tables of a page of scores, with heads in words and a definition of each column."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..statistics.ceilings import CEILING_WORDS
from .numbers import interval, listed, number, probability
from .parts import Cell, Column, Table

__all__ = [
    "behind_table",
    "best_table",
    "chance_table",
    "controls_table",
    "left_out_table",
    "pairs_table",
    "score_table",
    "wide_table",
]

_MOST_SHADE = 60  # percent of the colour, so that the numbers stay readable
_Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class _Of:
    """A column of a table of scores.

    Attributes
    ----------
    column : Column
        Its head and definition.
    needs : str
        Column of the data frame without which, or without any value in which, it is left out.
    text : function
        From a row of the data frame to what is written.
    """

    column: Column
    needs: str
    text: Callable[[_Row], str]


def _of(
    head: str,
    about: str,
    needs: str,
    text: Callable[[_Row], str] | None = None,
    words: bool = False,
) -> _Of:
    write = text or (lambda row: number(row[needs]))
    return _Of(Column(head, about, words), needs, write)


def _name(head: str, about: str, needs: str) -> _Of:
    return _of(head, about, needs, lambda row: str(row[needs]), words=True)


def _counted(head: str, about: str, needs: str) -> _Of:
    return _of(head, about, needs, lambda row: str(int(row[needs])))


def _p(head: str, about: str, needs: str) -> _Of:
    return _of(head, about, needs, lambda row: probability(row[needs]))


def _ends(head: str, about: str, low: str, high: str) -> _Of:
    return _of(head, about, low, lambda row: interval(row[low], row[high]))


def _yes(head: str, about: str, needs: str) -> _Of:
    return _of(head, about, needs, lambda row: "yes" if row[needs] else "no", words=True)


def _made(
    frame: pd.DataFrame, columns: Sequence[_Of], caption: str, *, is_sortable: bool = False
) -> Table:
    """Table of the columns for which there is content."""
    known = [of for of in columns if of.needs in frame and not frame[of.needs].isna().all()]
    rows = [[Cell(of.text(row)) for of in known] for row in frame.to_dict("records")]
    return Table(caption, tuple(of.column for of in known), rows, is_sortable=is_sortable)


_METRIC = _name("Metric", "How the source is compared with the target.", "metric")
_TARGET = _name("Target", "The population that is predicted.", "target")
_R = "The score of the target: mean over folds, then median over units."
_INTERVAL = "95% confidence interval"
_P_SHUFFLE = _p(
    "p, shuffled",
    "(1 + number of shuffles that score at least as high) / (1 + number of shuffles).",
    "p_shuffle",
)


def _normalized(ceiling: str | None) -> list[_Of]:
    """Columns that depend on the ceiling."""
    words = CEILING_WORDS[ceiling]
    return [
        _of(
            "Ceiling",
            f"Median over the units of the target. {words.definition}",
            "ceiling",
        ),
        _ends(f"{_INTERVAL}, ceiling", "Of the ceiling.", "ceiling_low", "ceiling_high"),
        _of(
            "Normalized",
            "Sum of the scores of all scored units over the sum of their ceilings, both weighted "
            f"where the ceiling is from repeats. {words.normalized}",
            "normalized",
        ),
        _ends(
            f"{_INTERVAL}, normalized",
            "Of the normalized score.",
            "normalized_low",
            "normalized_high",
        ),
        _of(
            "Normalized²",
            "Square of the normalized score, with its sign"
            + (
                ": the share of the explainable variance that is explained."
                if ceiling in {"split-half", "repeat-variance"}
                else "."
            ),
            "explained_variance",
        ),
    ]


def score_table(frame: pd.DataFrame, source: str, ceiling: str | None) -> Table:
    """All scores, which a click sorts.

    Parameters
    ----------
    frame : DataFrame
        From `summary`, with ``among_best`` where it is known.
    source : str
        What the sources are, such as ``Layer``.
    ceiling : str or None
        Name of the ceiling.
    """
    columns = [
        _name(source, "The population that is mapped.", "source"),
        _METRIC,
        _TARGET,
        _of("r", _R, "r"),
        _ends(f"{_INTERVAL}, r", "Of the score, from the bootstrap.", "r_low", "r_high"),
        *_normalized(ceiling),
        _P_SHUFFLE,
        _yes(
            "Among the best",
            "Whether the source is not significantly worse than the best one of the same metric "
            "and target (Westfall and Young, 95%).",
            "among_best",
        ),
        _of(
            "Reliability",
            "Of the mean response over repeats, median over the units of the target.",
            "reliability",
        ),
        _counted("Stimuli", "Number of stimuli.", "n_stimuli"),
        _counted("Units", "Number of units of the target in the medians.", "n_units"),
        _counted("Units left out", "Number of units left out of the medians.", "n_units_excluded"),
    ]
    if ceiling is not None:
        columns.append(
            _counted("Units, normalized", "Number of units in the ratio.", "n_units_normalized")
        )
    return _made(
        frame,
        columns,
        f"All {len(frame)} scores. The head of a column sorts the rows, by a click or by Enter.",
        is_sortable=True,
    )


def best_table(frame: pd.DataFrame, source: str) -> Table:
    """The best source of each target and metric.

    Parameters
    ----------
    frame : DataFrame
        From `summary`, with ``among_best`` where it is known.
    source : str
        What the sources are, such as ``Layer``.
    """
    rows = []
    cells = product(dict.fromkeys(frame["target"]), dict.fromkeys(frame["metric"]))
    for target, metric in cells:
        group = frame[(frame["target"] == target) & (frame["metric"] == metric)]
        if group["r"].isna().all():
            continue
        row = group.loc[group["r"].idxmax()].to_dict()
        if "among_best" in group:
            others = group.loc[group["among_best"] & (group["source"] != row["source"]), "source"]
            row["others"] = listed(list(others)) if len(others) else "none"
        rows.append(row)
    columns = [
        _TARGET,
        _METRIC,
        _name(f"Best {source.lower()}", "The source with the highest r.", "source"),
        _of("r", _R, "r"),
        _ends(f"{_INTERVAL}, r", "Of the score, from the bootstrap.", "r_low", "r_high"),
        _of("Normalized", "The score of the same source, corrected by the ceiling.", "normalized"),
        _ends(
            f"{_INTERVAL}, normalized",
            "Of the normalized score.",
            "normalized_low",
            "normalized_high",
        ),
        _P_SHUFFLE,
        _name(
            "Not significantly worse",
            "Other sources that are not significantly worse than the best one (Westfall and "
            "Young, 95%).",
            "others",
        ),
    ]
    only = len(set(frame["source"])) == 1
    caption = (
        "The score of each target."
        if only
        else f"The {source.lower()} with the highest r, for each target and metric."
    )
    return _made(pd.DataFrame(rows), columns, caption)


def wide_table(frame: pd.DataFrame, source: str) -> Table:
    """Sources x metrics, for each target, shaded by r.

    Parameters
    ----------
    frame : DataFrame
        From `summary`.
    source : str
        What the sources are, such as ``Layer``.
    """
    targets, metrics, sources = (
        list(dict.fromkeys(frame[name])) for name in ("target", "metric", "source")
    )
    cells = {
        (row["source"], row["target"], row["metric"]): (row["r"], row["normalized"])
        for row in frame.to_dict("records")
    }
    highest = float(frame["r"].abs().max())
    best = frame.groupby(["target", "metric"])["r"].max().to_dict()
    rows = []
    for name in sources:
        row = [Cell(name)]
        for target in targets:
            for metric in metrics:
                r, normalized = cells[name, target, metric]
                row.append(_shaded(r, normalized, highest, r == best[target, metric]))
        rows.append(row)
    note = " The second line is the normalized score." if frame["normalized"].notna().any() else ""
    return Table(
        f"r of each {source.lower()} and metric, by target; the highest of each column is bold. "
        f"The shade is r, from 0 (none) to {number(highest)}; negative r has another colour.{note}",
        (Column(source, is_text=True), *(Column(m) for _ in targets for m in metrics)),
        rows,
        groups=tuple((target, len(metrics)) for target in targets),
    )


def _shaded(r: float, normalized: float, highest: float, is_best: bool) -> Cell:
    shade = round(_MOST_SHADE * r / highest) if np.isfinite(r) and highest > 0 else 0
    note = f"{number(normalized, 2)} norm." if np.isfinite(normalized) else ""
    return Cell(number(r), note, shade, bool(is_best))


def left_out_table(scores: xr.Dataset) -> Table:
    """How many units of each target are left out, and why.

    Parameters
    ----------
    scores : xarray.Dataset
        With the scores of units.
    """
    reasons = [reason for reason in np.unique(scores["excluded"].values) if reason]
    rows = []
    for target in scores["target_population"].values:
        why = scores["excluded"].values[scores["target"].values == target]
        counts = [len(why), (why == "").sum(), *((why == reason).sum() for reason in reasons)]
        rows.append([Cell(str(target)), *(Cell(str(n)) for n in counts)])
    return Table(
        "Number of units of each target.",
        (
            Column("Target", is_text=True),
            Column("Units", "Number of units that were recorded."),
            Column("In the medians", "Number of units in the medians over units."),
            *(Column(f"Left out: {reason}", _reason_words(str(reason))) for reason in reasons),
        ),
        rows,
    )


def _reason_words(reason: str) -> str:
    """What a reason means."""
    if reason.startswith("reliability below"):
        return (
            "Units whose responses differ so much from repeat to repeat that a score of them says "
            "little. They are left out of the medians; the normalized score counts them, with the "
            "weight that their reliability gives them."
        )
    return {
        "reliability cannot be estimated": "Units with too few repeats, or that do not vary.",
        "constant": "Units that respond alike to all stimuli.",
        "not recorded for all stimuli": "Units that lack responses to some of the stimuli.",
        "not recorded": "Units without any response.",
    }.get(reason, "")


def pairs_table(frame: pd.DataFrame, source: str) -> Table:
    """Paired differences between sources.

    Parameters
    ----------
    frame : DataFrame
        From `differences` between sources.
    source : str
        What the sources are, such as ``Layer``.
    """
    return _made(
        frame,
        [
            _name(f"First {source.lower()}", "The one from whose r is subtracted.", "first"),
            _name(f"Second {source.lower()}", "The one whose r is subtracted.", "second"),
            _METRIC,
            _TARGET,
            _of("Difference of r", "r of the first minus r of the second.", "difference"),
            _ends(
                _INTERVAL,
                "Of the difference; both are scored in the same resamples.",
                "low",
                "high",
            ),
            _p("p", "Two-sided, of no difference.", "p"),
            _p(
                "p, corrected",
                "By Holm's method, for all pairs of the same metric and target.",
                "p_corrected",
            ),
        ],
        f"Differences between each pair of {source.lower()}s.",
        is_sortable=True,
    )


def behind_table(frame: pd.DataFrame, source: str) -> Table:
    """How far each source is behind the best one.

    Parameters
    ----------
    frame : DataFrame
        From `best`.
    source : str
        What the sources are, such as ``Layer``.
    """
    return _made(
        frame,
        [
            _name(source, "The population that is mapped.", "source"),
            _METRIC,
            _TARGET,
            _of("r", _R, "r"),
            _of("Behind the best", "How much higher the highest r is.", "behind"),
            _p(
                "p, corrected",
                "Of the hypothesis that no other source is better, corrected for the number of "
                "sources (Westfall and Young).",
                "p",
            ),
            _yes("Among the best", "Whether p is above 0.05.", "among_best"),
        ],
        f"How far each {source.lower()} is behind the best one of the same metric and target.",
        is_sortable=True,
    )


def chance_table(scores: xr.Dataset, frame: pd.DataFrame, source: str) -> Table:
    """Scores beside those of shuffled stimuli.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with a shuffle.
    frame : DataFrame
        From `summary`.
    source : str
        What the sources are, such as ``Layer``.
    """
    dim = "target_population" if "target_population" in scores.dims else "target"
    rows = []
    for row in frame.to_dict("records"):
        cell = {"metric": row["metric"], "source": row["source"], dim: row["target"]}
        null = scores["r_shuffled"].sel(cell).values
        mean, high = float(np.nanmean(null)), float(np.nanquantile(null, 0.95))
        rows.append(row | {"null_mean": mean, "null_high": high})
    return _made(
        pd.DataFrame(rows),
        [
            _name(source, "The population that is mapped.", "source"),
            _METRIC,
            _TARGET,
            _of("r", _R, "r"),
            _of("Mean of shuffles", "Mean r with shuffled stimuli.", "null_mean"),
            _of(
                "95% of shuffles below",
                "95th percentile of the r with shuffled stimuli.",
                "null_high",
            ),
            _P_SHUFFLE,
        ],
        "Scores beside those with shuffled stimuli, of which nothing should be left.",
        is_sortable=True,
    )


def controls_table(frame: pd.DataFrame, source: str) -> Table:
    """Scores beside those of controls.

    Parameters
    ----------
    frame : DataFrame
        From `against`.
    source : str
        What the sources are, such as ``Layer``.
    """
    return _made(
        frame,
        [
            _name(source, "The population that is mapped.", "source"),
            _METRIC,
            _TARGET,
            _of("r", _R, "r"),
            _of("Mean of controls", "Mean r of the controls.", "control_mean"),
            _of("SD of controls", "Standard deviation of the r of the controls.", "control_sd"),
            _of("z", "(r - mean) / standard deviation.", "z"),
            _p(
                "p, controls",
                "(1 + number of controls that score at least as high) / (1 + number "
                "of controls), one-sided.",
                "p",
            ),
            _counted("Controls", "Number of controls.", "n_controls"),
        ],
        "Scores beside those of controls.",
        is_sortable=True,
    )
