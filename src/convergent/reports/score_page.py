"""The page of a score: what was compared, how well, beside what, and how to compute it again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import xarray as xr

from .. import plot
from ..base.errors import InputError, shown
from ..plot._figure import closed
from ..scoring.kinds import check_kind
from ..scoring.tables import against, best, differences, shared_resamples, summary
from ..scoring.targets import VOXEL_AXES
from ..statistics.ceilings import CEILING_WORDS
from .methods import methods
from .numbers import listed
from .origin import Origin
from .page import write_page
from .parts import Code, Drawing, Part, Section, Terms, Text
from .score_tables import (
    behind_table,
    best_table,
    chance_table,
    controls_table,
    left_out_table,
    pairs_table,
    score_table,
    wide_tables,
)

__all__ = ["score_page"]

_MOST_PAIRS = 60  # rows of a table of pairs; more are compared with the best one alone


def score_page(
    scores: xr.Dataset,
    path: str | os.PathLike[str],
    title: str | None = None,
    controls: Sequence[xr.Dataset] = (),
) -> Path:
    """Write a self-contained HTML page of scores.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`.
    path : path
        File to write; an existing one is replaced.
    title : str, optional
        Title of the page.
    controls : sequence of xarray.Dataset
        Scores of controls, as `against` takes them.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the result is of another kind, or there are no scores to draw.
    """
    check_kind(scores, "score", "report")
    with shared_resamples():
        return _written(scores, path, title, controls)


def _written(
    scores: xr.Dataset,
    path: str | os.PathLike[str],
    title: str | None,
    controls: Sequence[xr.Dataset],
) -> Path:
    found = _Scored(scores, Origin.of(scores), controls)
    if found.table.empty:
        raise InputError("there are no scores to draw.")
    sections = (
        Section("compared", "What was compared", _compared(found)),
        Section("best", found.best_title, _best(found)),
        Section("figures", "Scores", _figures(found)),
        Section("table", "Tables of scores", _tables(found)),
        Section("units", "Units", _units(found)),
        Section("differences", "Differences", _differences(found)),
        Section("controls", "Controls", _controls(found)),
        Section("voxels", "Voxels", _voxels(found)),
        Section("methods", "Methods", _methods(found)),
        Section("again", "To compute these scores again", _again(found)),
    )
    return write_page(path, title or found.title, found.lead, sections)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Scores, with what several sections need.

    Attributes
    ----------
    scores : xarray.Dataset
        From `convergent.score`.
    origin : Origin
        Its provenance.
    controls : sequence of xarray.Dataset
        Scores of controls.
    """

    scores: xr.Dataset
    origin: Origin
    controls: Sequence[xr.Dataset]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The summary, with the set of the best where it is known."""
        table = summary(self.scores)
        if "n_drawn" not in self.scores or table.empty:
            return table
        cell = ["metric", "source", "target"]
        return table.merge(self.best[[*cell, "among_best"]], on=cell)

    @cached_property
    def best(self) -> pd.DataFrame:
        """The set of the best, of bootstrapped scores."""
        return best(self.scores)

    @property
    def n_sources(self) -> int:
        """Number of populations that are mapped."""
        return self.scores.sizes["source"]

    @property
    def word(self) -> str:
        """What the sources are called."""
        return self.origin.source_word

    @property
    def ceiling(self) -> str | None:
        """Name of the ceiling."""
        name = self.origin.setting("ceiling")
        return name if name in CEILING_WORDS else None

    @property
    def title(self) -> str:
        """Title of the page, where none was given."""
        sides = [
            listed([*self.origin.known("sources", "network")] or self._names("source"), 3),
            listed([*self.origin.known("targets", "data_set")] or self._names("target"), 3),
        ]
        simulated = " (simulated data)" if self.scores.attrs.get("simulated") else ""
        return f"{sides[0]} compared with {sides[1]}{simulated}"

    @property
    def best_title(self) -> str:
        """Title of the section of the best sources."""
        if self.n_sources == 1:
            return "The score of each target"
        return f"The best {self.word.lower()} for each target"

    @property
    def lead(self) -> str:
        """What the page is about."""
        said = f"How well {'each ' + self.word.lower() if self.n_sources > 1 else 'the source'} "
        said += f"predicts the responses of {listed(self._names('target'), 5)} to stimuli that "
        said += "were not used to fit it."
        if self.scores.attrs.get("simulated"):
            said += " These results rest on simulated data."
        return said

    def _names(self, side: str) -> list[str]:
        return list(dict.fromkeys(map(str, self.table[side])))


def _compared(found: _Scored) -> list[Part]:
    return [Terms(found.origin.compared(found.scores.attrs["n_stimuli"]))]


def _best(found: _Scored) -> list[Part]:
    if not found.table["r"].notna().any():
        return []
    said = []
    if found.n_sources > 1:
        word = found.word.lower()
        said.append(
            f"The best {word} was chosen by the scores that are shown here: of several {word}s "
            "that are equally good, the highest r is a little too high."
        )
        if "r_low" not in found.table:
            said.append(
                f"These scores have no confidence intervals, so that another {word} may be as good "
                "as the best. A bootstrap gives them: --bootstrap 1000, or "
                "cv.score(..., bootstrap=cv.Bootstrap(1000))."
            )
    return [best_table(found.table, found.word), *([Text((" ".join(said),))] if said else [])]


def _figures(found: _Scored) -> list[Part]:
    figure = closed(plot.scores(found.scores))
    rows = found.table.dropna(subset="r")
    highest = rows.sort_values("r").iloc[-1] if len(rows) else None
    alt = f"r of each {found.word.lower()} by metric, a panel for each target"
    if highest is not None:
        alt += (
            f"; the highest is {highest['r']:.2f}, of {shown(highest['source'])} and "
            f"{shown(highest['target'])} by {shown(highest['metric'])}"
        )
    return [Drawing(figure, f"{alt}.", CEILING_WORDS[found.ceiling].definition)]


def _tables(found: _Scored) -> list[Part]:
    return [
        *wide_tables(found.table, found.word),
        score_table(found.table, found.word, found.ceiling),
    ]


def _units(found: _Scored) -> list[Part]:
    scores = found.scores
    if "unit" not in scores.dims:
        return []
    alt = f"distribution of r over the units, for each {found.word.lower()}, metric and target."
    return [Drawing(closed(plot.units(scores)), alt), left_out_table(scores)]


def _differences(found: _Scored) -> list[Part]:
    scores, table = found.scores, found.table
    if "n_drawn" not in scores or found.n_sources < 2:
        return []
    n = found.n_sources
    alt = f"differences of r between each {found.word.lower()} and the best one, with intervals."
    drawing = Drawing(closed(plot.differences(scores)), alt)
    if n * (n - 1) // 2 * len(table) // n > _MOST_PAIRS:
        return [drawing, behind_table(found.best, found.word)]
    return [drawing, pairs_table(differences(scores), found.word)]


def _controls(found: _Scored) -> list[Part]:
    parts: list[Part] = []
    if "r_shuffled" in found.scores:
        parts.append(chance_table(found.scores, found.table, found.word))
    if found.controls:
        parts.append(controls_table(against(found.scores, found.controls), found.word))
    return parts


def _voxels(found: _Scored) -> list[Part]:
    """Slices of each target that has voxels: targets may share some."""
    scores = found.scores
    if "unit" not in scores.dims or any(axis not in scores.coords for axis in VOXEL_AXES):
        return []
    is_voxel = scores[VOXEL_AXES[0]].values >= 0
    targets = list(dict.fromkeys(scores["target"].values[is_voxel].tolist()))
    parts: list[Part] = []
    for target in targets:
        rows = found.table[found.table["target"] == target].dropna(subset="r")
        if len(rows):
            best_one = rows.sort_values("r").iloc[-1]
            source, metric = str(best_one["source"]), str(best_one["metric"])
            figure = closed(plot.voxels(scores, target=target, source=source, metric=metric))
            alt = f"r of the voxels of {shown(target)} on slices, from {shown(source)}."
            parts.append(Drawing(figure, alt))
    return parts


def _methods(found: _Scored) -> list[Part]:
    paragraphs = methods(found.scores, found.origin)
    return [Text(paragraphs, copied=True)] if paragraphs else []


def _again(found: _Scored) -> list[Part]:
    origin = found.origin
    if not origin.content:
        return []
    parts: list[Part] = []
    if origin.shell():
        parts.append(Code(origin.shell(), "Command"))
    parts.append(Code(origin.python(), "Python"))
    parts.append(Code(origin.json(), "All settings, versions and hashes (JSON)", is_folded=True))
    return parts
