"""What figures of experiments share: layers in colours, steps, levels, controls and a key."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from ..base.arrays import Floats
from ..base.errors import shortened
from ..statistics.ceilings import CEILING_WORDS
from ._figure import (
    MOST_TICKS,
    WIDEST,
    Labels,
    Panels,
    add_band,
    label_axis,
    layer_colours,
    make_panels,
    named,
)

__all__ = [
    "ACCURACY",
    "CONTROL_STYLES",
    "Grid",
    "add_key",
    "add_layer_bar",
    "axis_text",
    "banded",
    "ceiling_name",
    "characters",
    "draw_layers",
    "is_narrow",
    "keep_parts_apart",
    "level_of",
    "make_grid",
    "name_layers",
    "name_x",
    "not_noticed",
    "set_level_axis",
    "set_training_axis",
    "width_of",
    "width_of_panel",
    "wrapped",
    "write_headline",
]

CONTROL_STYLES = (":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 4)))  # dashes are of ceilings
ACCURACY = "accuracy (share of images classified correctly)"

_MOST_BANDS = 8  # of lines that each have a band
_SAME = 2e-3  # scores of a control that differ by less are those of the source
_LOW = 1.3  # inches of a panel, below which all have one label in common
_NARROW = 2.1  # inches of a column of panels, below which they stand in rows


# Panels


def width_of(figure: Figure | SubFigure) -> float:
    """Width of a figure in inches."""
    inches: float = figure.bbox.width / figure.dpi
    return inches


def width_of_panel(panels: Panels) -> float:
    """Inches of a panel of several side by side, about; the rest are labels."""
    if panels.given:
        panel = panels.flat[0]
        inches: float = panel.get_window_extent().width / panels.figure.dpi
        return inches
    across = int(panels.grid.shape[1])
    return max(0.7, (width_of(panels.figure) - 1.6) / across - 0.1)


def name_x(panels: Panels, text: str, note: str = "") -> str:
    """Write the label of the x axis, with a note on it.

    Return the note for the headline where columns are too narrow for it.
    """
    width = width_of_panel(panels)
    short = panels.grid.shape[1] > 1 and width < _NARROW - 0.2
    whole = f"{text} ({note})" if note and not short else text
    for panel in panels.grid[-1]:
        panel.set_xlabel(wrapped(whole, width), parse_math=False)
    return f"{text}: {note}" if note and short else ""


def is_narrow(figure: Figure | SubFigure | None, columns: int) -> bool:
    """Whether a figure that was given is too narrow for several columns."""
    return figure is not None and columns > 1 and width_of(figure) / columns < _NARROW


@dataclass(frozen=True)
class Grid:
    """Panels of several metrics, in columns; in rows where the figure is narrow.

    Attributes
    ----------
    panels : Panels
        As they stand in the figure.
    by : array of Axes (rows, metrics)
        The same, as the data have them.
    """

    panels: Panels
    by: NDArray[Any]

    @property
    def width(self) -> float:
        """Inches of a panel, about."""
        return width_of_panel(self.panels)

    @property
    def height(self) -> float:
        """Inches of a panel, about."""
        figure = self.panels.figure
        rows = self.panels.grid.shape[0]
        inches: float = figure.bbox.height / figure.dpi
        around = 2.6 if width_of(figure) < 5 else 1.6  # headline, labels and legend
        return inches if self.panels.given else max(0.7, (inches - around) / rows)


def make_grid(
    rows: Mapping[str, str],
    metrics: Iterable[Any],
    size: tuple[float, float],
    place: Mapping[str, Any],
    texts: Mapping[str, str],
    labels: Labels,
    room: float = 0.0,
) -> Grid:
    """Make panels for each row and metric, with titles above and labels at their left and below.

    Parameters
    ----------
    rows : dict of str
        What the rows are; the text is empty where there is nothing to tell.
    metrics : iterable of str
        Metrics.
    size : tuple of float
        Size of one panel with its labels, in inches.
    place : dict
        ``figure`` and ``ax``, as the user gave them.
    texts : dict of str
        Labels of the axes ``x`` and ``y``.
    labels : Labels
        Texts for names.
    room : float
        Inches that what stands beside the panels needs, beyond a bar with short names.
    """
    names = [labels(metric, 32) for metric in metrics]
    figure = place["figure"]
    stacked = is_narrow(figure, len(names))
    above, beside = (list(rows.values()), names) if stacked else (names, list(rows.values()))
    whole = min(WIDEST, size[0] * len(above) + 1.6 + room), size[1] * len(beside) + 1.4
    keep_parts_apart(figure)
    panels = make_panels(len(beside), len(above), whole, **place, sharex=True, sharey=True)
    grid = Grid(panels, panels.grid.T if stacked else panels.grid)
    for text, column in zip(above, panels.grid.T, strict=True):
        column[0].set_title(wrapped(text, grid.width), fontsize="medium", parse_math=False)
    name_x(panels, texts["x"])
    common = grid.height < _LOW
    for text, row in zip(beside, panels.grid, strict=True):
        parts = (text, texts["y"]) if stacked else (texts["y"], text)
        lines = [wrapped(part, grid.height) for part in ((text,) if common else parts) if part]
        letters = "small" if common else "medium"
        row[0].set_ylabel("\n".join(lines), parse_math=False, fontsize=letters)
    if common:
        panels.figure.supylabel(texts["y"], fontsize="medium", parse_math=False)
    return grid


def keep_parts_apart(figure: Figure | SubFigure | None) -> None:
    """Let matplotlib arrange a figure that was given, unless the user chose how."""
    if isinstance(figure, (Figure, SubFigure)):
        root = figure.get_figure(root=True)
        if root is not None and root.get_layout_engine() is None:
            root.set_layout_engine("constrained")


# Text


def characters(inches: float, size: str = "medium") -> int:
    """How many characters of a font size stand in a line."""
    points = FontProperties(size=size).get_size_in_points()
    return max(8, int(inches * 72 / (0.56 * points)))


def wrapped(text: str, inches: float, size: str = "medium") -> str:
    """Break a text in lines of a width; words stay whole."""
    width = characters(inches, size)
    lines = text.split("\n")
    return "\n".join(textwrap.fill(line, width, break_long_words=False) for line in lines)


def write_headline(panels: Panels, *lines: str) -> None:
    """Write lines above the panels, broken where the figure ends."""
    width = width_of(panels.figure)
    panels.add_headline("\n".join(wrapped(line, width) for line in lines if line))


def add_key(panels: Panels) -> None:
    """Write what lines are below the panels; inside a panel that the user gave."""
    handles: dict[str, Any] = {}
    for panel in panels.flat:
        found, texts = panel.get_legend_handles_labels()
        handles |= {
            text: handle for text, handle in zip(texts, found, strict=True) if text not in handles
        }
    if not handles:
        return
    if panels.given:
        panels.add_legend()
        return
    widest = max(map(len, handles)) + 8  # characters, with the line before them
    legend = panels.figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=max(1, min(len(handles), characters(width_of(panels.figure), "small") // widest)),
        frameon=False,
        fontsize="small",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def name_layers(axis: Axis, layers: Iterable[Any], labels: Labels, inches: float) -> str:
    """Write names of layers at an axis of a length, such that they do not touch.

    Return the pattern of what was left out of them.
    """
    pattern = label_axis(axis, layers, labels)
    texts = [text.get_text() for text in axis.get_ticklabels()]
    ticks, size = axis.get_ticklocs(), rcParams["font.size"] / 72
    step = -(-len(texts) // max(2, int(inches / (1.25 * size))))
    ticks, texts = ticks[::step], texts[::step]
    style: dict[str, Any] = {}
    if isinstance(axis, XAxis) and len(texts) * (max(map(len, texts)) + 1) * 0.62 * size > inches:
        style = {"rotation": 90}
        if len(texts) * 1.6 * size <= inches:
            style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axis.set_ticks(ticks, texts, parse_math=False, **style)
    return pattern


def axis_text(what: str, pattern: str, inches: float) -> str:
    """Label of an axis of names, with the pattern of what was left out of them if it fits."""
    text = f"({pattern})"
    if not pattern or len(text) > characters(inches):
        return what
    return f"{what} {text}" if len(what) + len(text) < characters(inches) else f"{what}\n{text}"


def ceiling_name(results: xr.Dataset) -> str:
    """Name of the ceiling of a result."""
    return CEILING_WORDS[_provenance(results).get("ceiling", "self")].label


def level_of(results: xr.Dataset) -> str:
    """Confidence level of the intervals of a result, as in ``95%``."""
    return f"{100 * float(_provenance(results).get('level', 0.95)):g}%"


def _provenance(results: xr.Dataset) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(results.attrs.get("provenance", "{}"))
    return found


# Layers


def banded(n: int) -> list[int]:
    """Layers whose intervals are drawn: all, or of many the first, middle and last."""
    return list(range(n)) if n <= _MOST_BANDS else [0, n // 2, n - 1]


def draw_layers(
    panel: Axes, x: Any, curves: xr.DataArray, ends: Sequence[xr.DataArray] | None = None
) -> None:
    """Draw a line for each layer of curves (layer, ...), from the first (dark) to the last (light).

    `ends` are the lower and upper ends of their intervals.
    """
    layers = curves["layer"].values
    few = len(layers) <= _MOST_BANDS
    style: dict[str, Any] = {"linewidth": 1.5 if few else 0.8}
    if few and len(x) <= 2 * MOST_TICKS:
        style["marker"] = "."
    for k, (layer, colour) in enumerate(zip(layers, layer_colours(len(layers)), strict=True)):
        panel.plot(x, curves.sel(layer=layer), color=colour, label=f"_{layer}", **style)
        if ends is not None and k in banded(len(layers)):
            low, high = (end.sel(layer=layer) for end in ends)
            add_band(panel, x, low, high, colour, alpha=0.15)


def add_layer_bar(panels: Panels, layers: NDArray[Any], labels: Labels) -> str:
    """Add a bar beside the panels that names the layers by their colours.

    Return what was left out of names, for the headline, if there is no room for it at the bar.
    """
    n = len(layers)
    if n == 1:
        return f"layer: {labels(layers[0])}"
    colours = ScalarMappable(
        BoundaryNorm(np.arange(n + 1) - 0.5, n), ListedColormap(layer_colours(n))
    )
    narrow = width_of(panels.figure) < 4.5 or panels.given
    bar = panels.figure.colorbar(
        colours, ax=panels.flat, ticks=[], pad=0.02, aspect=30, fraction=0.05
    )
    height = max(0.8, float(bar.ax.bbox.height / panels.figure.dpi) - 1)
    pattern = name_layers(bar.ax.yaxis, layers, labels, height)
    if narrow:
        texts = [shortened(text.get_text(), 12) for text in bar.ax.get_yticklabels()]
        bar.ax.set_yticks(bar.ax.get_yticks(), texts, parse_math=False)
    bar.ax.tick_params(length=0, labelsize="small")
    bar.ax.minorticks_off()
    text = axis_text("layer", pattern, height)
    bar.set_label(text, fontsize="small", parse_math=False)
    return f"layers: {pattern}" if pattern and pattern not in text else ""


# Controls


def not_noticed(r: xr.DataArray, chance: xr.DataArray) -> bool:
    """Whether scores of a control are those of the source: it changes nothing that is measured.

    So it is with rotated axes by a metric that ignores rotations; such scores are not chance.
    """
    apart = np.abs((chance - r).values)
    return bool(np.isnan(apart).all() or np.nanmax(apart) < _SAME)


# Steps and levels


def set_training_axis(panels: Panels, steps: NDArray[np.float64], early: float, unit: str) -> str:
    """Place steps of training so that the first epoch is visible, and say how in the label.

    Return what the headline says of it, where the label has no room.

    Where the early step is less than a quarter of all, the axis is linear up to it, and logarithmic
    from there. Short ticks are the steps that were scored.
    """
    steps = np.asarray(steps, dtype=np.float64)
    last, note = float(steps[-1]), ""
    ticks = [0.0, *sorted({early, last})] if steps[0] <= 0 < early < last else [steps[0], last]
    scale: dict[str, Any] = {"value": "linear"}
    if 0 < early < last / 4:
        decades = np.log10(last / early)
        scale = {"value": "symlog", "linthresh": early, "linscale": max(0.3, 0.7 * decades)}
        later = steps[steps >= early]
        wanted = np.geomspace(early, last, 4 if decades > 0.9 else 3)
        ticks = [0.0, *sorted({float(later[np.abs(later - one).argmin()]) for one in wanted})]
        note = f"linear to {_short(early)}, then logarithmic"
    for panel in panels.flat:
        panel.axvline(early, color="0.85", linewidth=0.8, zorder=0)
        panel.set_xscale(**scale)
        panel.set_xticks(ticks, [_short(tick) for tick in ticks])
        _mark(panel, steps)
        panel.set_xlim(min(0.0, steps[0]), last)
    return name_x(panels, named(unit, 40), note)


def _mark(panel: Axes, places: Floats) -> None:
    """Mark places on the x axis with short ticks."""
    panel.set_xticks(places, minor=True)
    panel.tick_params(axis="x", which="minor", length=2)
    panel.xaxis.set_minor_formatter(lambda *_: "")


def _short(number: float) -> str:
    """A number for a tick; thousands as k."""
    return f"{number / 1000:g}k" if abs(number) >= 10_000 else f"{number:g}"


@dataclass(frozen=True)
class _Levels:
    """Where levels of a distortion stand on their axis.

    Attributes
    ----------
    x : float array
        Their places: the levels themselves, or their ranks where they are no numbers.
    scale : str
        "linear", "log" or "symlog"; "" where they are no numbers.
    options : dict
        Of the scale.
    """

    x: Floats
    scale: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What the label of the axis says of its scale."""
        if self.scale == "symlog":
            return f"logarithmic from {self.options['linthresh']:g}"
        return "logarithmic" if self.scale == "log" else ""


def _places(levels: Sequence[Any]) -> _Levels:
    """Place levels of which the first is the control."""
    ranks = np.arange(len(levels), dtype=np.float64)
    try:
        x = np.array([float(level) for level in levels])
    except ValueError:
        return _Levels(ranks)
    finite = x[np.isfinite(x)]
    one_way = (np.diff(x) > 0).all() or (np.diff(x) < 0).all()
    if not one_way or len(finite) < 2 or not np.isfinite(x[1:]).all():
        return _Levels(ranks)
    positive = finite[finite > 0]
    wide = len(positive) > 2 and _spread(np.log(positive)) < _spread(positive)
    if np.isinf(x[0]):  # stands one step beyond the next
        x[0] = x[1] * (x[1] / x[2]) if wide and len(x) > 2 else 2 * x[1] - x[-1]
    if not wide or finite.min() < 0:
        return _Levels(x, "linear")
    if finite.min() > 0:
        return _Levels(x, "log")
    return _Levels(x, "symlog", {"linthresh": float(positive.min()), "linscale": 0.4})


def _spread(levels: Floats) -> float:
    """Ratio of the widest to the narrowest step between levels."""
    steps = np.abs(np.diff(levels))
    return float(steps.max() / steps.min()) * (1 + 1e-9)  # equal steps stay equal


def set_level_axis(
    grid: Grid, levels: Sequence[Any], unit: str, labels: Labels
) -> tuple[Floats, str]:
    """Set the axis of levels of all panels, numbers at their places.

    Return the places, and what the headline says of the scale where the label has no room.
    """
    places = _places(levels)
    texts = [labels(level, 24) for level in levels]
    for panel in grid.panels.flat:
        if not places.scale:
            label_axis(panel.xaxis, levels, labels, rotation=45, ha="right", rotation_mode="anchor")
            continue
        panel.set_xscale(places.scale, **places.options)
        at = panel.xaxis.get_transform().transform(places.x)
        ticks = _apart((at - at[0]) / (at[-1] - at[0]), texts, grid.width)
        panel.set_xticks(places.x[ticks], [texts[k] for k in ticks], parse_math=False)
        _mark(panel, places.x)
        if places.x[0] > places.x[-1] and not panel.xaxis_inverted():
            panel.invert_xaxis()
    return places.x, name_x(grid.panels, named(unit, 40), places.note)


def _apart(at: Floats, texts: Sequence[str], inches: float) -> list[int]:
    """Ticks, at places from 0 to 1, whose texts do not touch; the first and the last stay."""
    widths = np.array(list(map(len, texts))) * 0.62 * rcParams["font.size"] / 72 / inches
    kept, last = [0], len(texts) - 1
    for k in range(1, last):
        free = at[k] - at[kept[-1]] > (widths[k] + widths[kept[-1]]) / 2 + 0.02
        if free and at[last] - at[k] > (widths[k] + widths[last]) / 2 + 0.02:
            kept.append(k)
    return [*kept, last]
