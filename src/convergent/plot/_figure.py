"""What figures share: a figure that notebooks display, colours, axes, legends and headlines."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, pyplot, rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from numpy.typing import NDArray

from ..base.arguments import check_type
from ..base.errors import InputError, shortened, shown

__all__ = [
    "AGAINST_LABELS",
    "CLASS_COLOURS",
    "COLOURS",
    "MAP_LABELS",
    "MODELS",
    "MOST_TICKS",
    "UNCLASSIFIED_COLOURS",
    "WIDEST",
    "Labels",
    "Panels",
    "Picture",
    "add_band",
    "add_diagonal",
    "add_headline",
    "add_legend",
    "add_legend_beside",
    "closed",
    "hide_spines",
    "hide_ticks",
    "inches",
    "label_axis",
    "label_layers",
    "layer_colours",
    "legend_label",
    "make_panels",
    "make_rows",
    "named",
    "new_figure",
    "room_for",
    "short_names",
    "side_label",
    "tick_labels",
    "wrapped",
]

WIDEST = 12.0  # inches
_NARROW = 5.0  # inches: in figures that are narrower, legends are below the panels
_NARROWEST = 1.5  # inches that a panel needs
MOST_TICKS = 12  # of an axis of names

# Okabe and Ito's colours, which differ with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")

# classes of units, and of those that the data do not classify
CLASS_COLOURS = {"shared": COLOURS[0], "partly shared": COLOURS[5], "unique": COLOURS[1]}
UNCLASSIFIED_COLOURS = {"few responses": "0.6", "unreliable": "0.7", "silent": "0.85"}

MODELS = {
    "single": ("one unit", COLOURS[1]),
    "lasso": ("few units (Lasso)", COLOURS[0]),
    "ridge": ("all units (ridge)", COLOURS[2]),
}

# labels of the maps of `shift`, and of the states of the other network in `trajectory`
MAP_LABELS = {
    "transferred": "map fitted on the first level",
    "refitted": "map refitted on each level",
}
AGAINST_LABELS = {"same step": "at the same step", "final": "at its last step"}


# letters stay letters: TrueType in PDF, text in SVG
_FONTS: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}


class Picture(Figure):
    """A matplotlib figure that a notebook displays once, and whose text stays text in files."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """Save the figure, as `matplotlib.figure.Figure.savefig` does."""
        with rc_context(_FONTS):
            super().savefig(*args, **options)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def _ipython_display_(self) -> None:
        """Display the figure once: as the value of a cell, or by pyplot when the cell ends."""
        backend = pyplot.get_backend().lower()
        managed = getattr(self, "number", None) in pyplot.get_fignums()
        if managed and "inline" not in backend and backend != "agg":
            return  # it has a window, or a widget
        from IPython.display import Image, display

        display(Image(self._repr_png_()))  # type: ignore[no-untyped-call]
        if managed and "inline" in backend:
            pyplot.close(self)  # else it is displayed again when the cell ends


@dataclass(frozen=True)
class Panels:
    """The panels that a function draws in.

    Attributes
    ----------
    figure : Figure or SubFigure
        Theirs.
    grid : array of Axes (rows, columns)
        The panels.
    given : bool
        Whether the user gave the one panel: then the figure around it is not ours to write on.
    beside : float
        Inches at the right of them that are left for a legend, or a bar of colours.
    """

    figure: Figure | SubFigure
    grid: NDArray[Any]
    given: bool = False
    beside: float = 0.0

    @property
    def flat(self) -> list[Axes]:
        """All panels, row by row."""
        return list(self.grid.flat)

    @property
    def result(self) -> Any:
        """What functions return: the axes that the user gave, or the figure."""
        return self.flat[0] if self.given else self.figure

    @property
    def text_size(self) -> str:
        """Size of texts, which is smaller in a narrow figure."""
        return "small" if inches(self.figure)[0] < _NARROW else "medium"

    @property
    def columns(self) -> int:
        """How many panels a row has."""
        place = self.flat[0].get_subplotspec()
        return 1 if self.given or place is None else int(place.get_gridspec().ncols)

    @property
    def width(self) -> float:
        """Width of a panel in inches, about, with its labels."""
        if self.given:
            return float(self.flat[0].get_position().width * inches(self.figure)[0]) + 0.7
        return (inches(self.figure)[0] - self.beside) / self.columns

    def label_x(self, text: str) -> None:
        """Write what the horizontal axis of all panels is, below them."""
        style: dict[str, Any] = {"fontsize": self.text_size, "parse_math": False}
        room = self.width if self.given else inches(self.figure)[0] - 0.3
        letters = text.replace(".", ". ")  # so that long names may break there
        lines = wrapped(letters, room, self.text_size).replace(". ", ".")
        write = self.flat[0].set_xlabel if self.given else self.figure.supxlabel
        write(lines, **style)

    def label_y(self, text: str) -> None:
        """Write what the vertical axis of all panels is, at their left."""
        style: dict[str, Any] = {"fontsize": self.text_size, "parse_math": False}
        if self.columns < len(self.flat):  # more than one row
            self.figure.supylabel(text, **style)
        else:
            self.flat[0].set_ylabel(text, **style)

    def add_legend(self, title: str | None = None) -> None:
        """Add one legend beside the panels; inside a panel that the user gave."""
        if self.given:
            add_legend(self.flat[0], title=title)
        else:
            add_legend_beside(self.figure, *self.flat, title=title)

    def add_bar(self, image: Any, label: str, **style: Any) -> None:
        """Add a bar of colours beside the panels."""
        bar = self.figure.colorbar(image, ax=self.flat, shrink=0.8, **style)
        bar.set_label(label, fontsize=self.text_size)
        bar.ax.tick_params(labelsize=self.text_size)

    def add_headline(self, text: str) -> None:
        """Write a line above the panels; not around a panel that the user gave."""
        if not self.given:
            add_headline(self.figure, text, size=self.text_size)


def make_panels(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Panels:
    """Make panels in a given figure, or in a new one of a size (width, height) in inches.

    A given panel, `ax`, serves where one panel is enough. `options` are those of
    ``Figure.subplots``.

    Raises
    ------
    InputError
        If `ax` is given and more than one panel is needed, or both `ax` and `figure` are given.
    """
    if ax is None:
        figure = new_figure(*size) if figure is None else figure
        check_type((Figure, SubFigure), "a matplotlib figure or subfigure", figure=figure)
        _keep_apart(figure)
        return Panels(figure, figure.subplots(rows, columns, squeeze=False, **options))
    check_type(Axes, "matplotlib axes", ax=ax)
    if figure is not None:
        raise InputError("both ax= and figure= are given: give one of them.")
    if rows * columns > 1:
        raise InputError(
            f"ax= is one panel, and this figure has {rows * columns}: give figure=, or draw a part "
            "of the result."
        )
    return Panels(ax.figure, np.array([[ax]]), given=True)


def _keep_apart(figure: Figure | SubFigure) -> None:
    """Lay out a given figure so that its parts do not overlap, if it has no layout of its own."""
    root: Any = figure.figure if isinstance(figure, SubFigure) else figure
    if root.get_layout_engine() is None and not root.axes:
        root.set_layout_engine("constrained")


def make_rows(
    n: int,
    size: tuple[float, float],
    *,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
    beside: float = 1.8,
    least: float = _NARROWEST,
    **options: Any,
) -> Panels:
    """Make n panels in rows of at most 4, of a size (width, height) in inches each.

    Rows have fewer panels where the figure is narrow.

    Parameters
    ----------
    n, size
        Number and size of the panels. The size holds in a new figure, up to its greatest width.
    figure, ax, **options
        As for `make_panels`.
    beside : float
        Inches for a legend or a colour bar beside the panels.
    least : float
        Inches that a panel needs; in narrow figures a row has fewer panels.

    Returns
    -------
    Panels
        In one row of its grid, whatever their places.
    """
    width = WIDEST if figure is None else inches(figure)[0]
    room = width - (beside if width >= _NARROW else 0)
    rows = -(-n // max(1, min(4, int(room / least))))
    columns = -(-n // rows)
    whole = (size[0] * columns + beside, size[1] * rows + 0.8)
    panels = make_panels(rows, columns, whole, figure=figure, ax=ax, **options)
    for spare in panels.flat[n:]:
        spare.remove()
    for panel in panels.flat[max(0, n - columns) : n]:  # panels below them may be gone
        panel.tick_params(axis="x", labelbottom=True)
    for panel in panels.flat[:n]:
        panel.tick_params(labelsize=panels.text_size)
    return replace(panels, grid=panels.grid.reshape(1, -1)[:, :n], beside=width - room)


def inches(figure: Figure | SubFigure) -> tuple[float, float]:
    """Width and height of a figure, or of a part of one."""
    return figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi


def wrapped(text: str, width: float, size: str = "medium") -> str:
    """Text in lines that fit a width in inches."""
    points = FontProperties(size=size).get_size_in_points()
    letters = max(12, int(72 * width / (0.56 * points)))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of a width and height in inches, whose parts do not overlap.

    pyplot manages it, so that ``plt.show()`` shows it. It is at most `WIDEST` inches wide.
    """
    figure = pyplot.figure(
        FigureClass=Picture, figsize=(min(width, WIDEST), height), layout="constrained"
    )
    assert isinstance(figure, Picture)
    return figure


def closed(figure: Picture) -> Picture:
    """The same figure, which pyplot no longer manages: for files and pages."""
    pyplot.close(figure)
    return figure


def hide_spines(*panels: Axes) -> None:
    """Hide the upper and right border of panels."""
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)


def hide_ticks(panel: Axes) -> None:
    """Hide the ticks of both axes, as of an image."""
    panel.set_xticks([])
    panel.set_yticks([])


_MOST_OF_TICK = 28  # characters
_SHORT = 12  # characters of a name that stays whole


def named(name: object, most: int = 60) -> str:
    """A name as a figure can hold it; texts with names are drawn with ``parse_math=False``.

    What no configured font can draw becomes an escape, as control characters do: else all such
    names would be the same row of boxes. Of a name longer than `most` both ends stay. A name that
    cannot be seen stands in quotation marks.
    """
    text = shown(name)
    if not text.isascii():
        fonts = [
            get_font(findfont(FontProperties(family=[one]))) for one in rcParams["font.family"]
        ]
        text = "".join(
            one
            if one.isascii() or any(font.get_char_index(ord(one)) for font in fonts)
            else one.encode("ascii", "backslashreplace").decode()
            for one in text
        )
    return shortened(text, most) if text.strip() else repr(shortened(text, most))


def legend_label(name: object) -> str:
    """A name for a legend: matplotlib hides labels that begin with ``_``, as names may."""
    text = named(name)
    return f" {text}" if text.startswith("_") else text


@dataclass(frozen=True)
class Labels:
    """The texts by which a figure calls layers, metrics, regions and networks.

    Attributes
    ----------
    given : dict of str
        The user's text for a name; other names are shown as they are.
    """

    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Mapping[str, str] | None) -> Labels:
        """Labels that a user gave.

        Raises
        ------
        InputError
            If they are not a dict of texts.
        """
        if labels is None:
            return cls()
        check_type(Mapping, "a dict from names to the texts that are shown", labels=labels)
        for name, text in labels.items():
            check_type(str, "a text", **{f"labels[{name!r}]": text})
        return cls({str(name): text for name, text in labels.items()})

    def __call__(self, name: object, most: int = 60) -> str:
        """Text for a name."""
        return named(self.given.get(str(name), name), most)

    def short(self, names: Iterable[object]) -> tuple[list[str], str]:
        """Texts for names that share an axis, and the pattern of what was left out of them."""
        texts = [str(name) for name in names]
        if any(name in self.given for name in texts):
            return [self(name, _MOST_OF_TICK) for name in texts], ""
        return short_names(texts)


def label_layers(
    panel: Axes, layers: Iterable[Any], labels: Labels | None = None, **style: Any
) -> None:
    """Write names of layers below an axis that counts them; `style` is that of the text."""
    label_axis(panel.xaxis, layers, labels, rotation=45, ha="right", **style)


def label_axis(
    axis: Axis,
    names: Iterable[Any],
    labels: Labels | None = None,
    most: int = MOST_TICKS,
    **style: Any,
) -> str:
    """Write names at an axis that counts them, at most `most`; return their pattern.

    The pattern, such as ``layers.*.attention``, belongs in the label of the axis; it is empty where
    names are written whole.
    """
    texts, pattern = (labels or Labels()).short(names)
    step = -(-len(texts) // max(1, min(most, MOST_TICKS)))
    ticks = range(0, len(texts), max(1, step))
    axis.set_ticks(list(ticks), [texts[k] for k in ticks], parse_math=False, **style)
    return pattern


def tick_labels(layers: Iterable[object]) -> list[str]:
    """Names of layers for the ticks of an axis, without what all of them share."""
    return short_names([str(layer) for layer in layers])[0]


def short_names(names: Sequence[str]) -> tuple[list[str], str]:
    """Names without the parents and the ends that all share, and the pattern, as in ``a.*.b``.

    Names of at most 12 characters stay whole, as does a name alone. The pattern is empty where
    nothing was left out.
    """
    names = [str(name) for name in names]
    parts = [name.split(".") for name in names]
    before = after = 0
    if len(set(names)) > 1 and max(map(len, names)) > _SHORT:
        least = min(map(len, parts)) - 1  # a part of each name stays
        before = _n_common(parts, least)
        after = _n_common([part[::-1] for part in parts], least - before)
    texts = [named(".".join(part[before : len(part) - after]), _MOST_OF_TICK) for part in parts]
    if not before + after:
        return texts, ""
    return texts, ".".join([*parts[0][:before], "*", *parts[0][len(parts[0]) - after :]])


def _n_common(parts: Sequence[Sequence[str]], most: int) -> int:
    """How many of the first parts are the same in all names."""
    n = 0
    while n < most and len({part[n] for part in parts}) == 1:
        n += 1
    return n


def room_for(labels: Iterable[str]) -> float:
    """Inches that long labels need beyond those that a figure has for short ones."""
    return 0.07 * max(0, max(map(len, labels), default=0) - 12)


def side_label(found: xr.Dataset, side: str, labels: Labels | None = None) -> str:
    """The side and the name of its population, as in ``source: V4``."""
    return f"{side}: {(labels or Labels())(found.attrs[side], 32)}"


def layer_colours(n: int) -> NDArray[np.float64]:
    """Colours of layers, from the first (dark) to the last (light): (n, 4)."""
    return np.asarray(colormaps["viridis"](np.linspace(0, 0.9, n)))


def add_band(panel: Axes, x: Any, low: Any, high: Any, colour: Any, *, alpha: float = 0.2) -> None:
    """Fill the range between two curves."""
    panel.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)


def add_diagonal(panel: Axes) -> None:
    """Draw the line on which x equals y, from 0 to 1."""
    panel.plot([0, 1], [0, 1], color="0.8", linewidth=1)


def add_legend(panel: Axes, **place: Any) -> None:
    """Add a legend inside a panel, where it covers least."""
    _take_literally(panel.legend(frameon=False, fontsize="small", **place))


def add_legend_beside(figure: Figure | SubFigure, *panels: Axes, title: str | None = None) -> None:
    """Add one legend with each label of the panels once: at the right, or below narrow figures."""
    entries: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    place: dict[str, Any] = {"loc": "outside right center"}
    if inches(figure)[0] < _NARROW:
        columns = _columns(entries, figure)
        place = {"loc": "outside lower center", "fontsize": "small", "ncols": columns}
        place |= {"handlelength": 1.5, "columnspacing": 1.0}
        heights = np.array_split([entry.count("\n") + 1 for entry in entries], columns)
        lines = max(int(column.sum()) for column in heights)
        if figure.get_supxlabel():  # empty lines keep room for the legend, which is below it
            empty = "\n" * math.ceil(1.3 * lines + 0.3)
            figure.supxlabel(figure.get_supxlabel() + empty, fontsize="small", parse_math=False)
    legend = figure.legend(
        handles=list(entries.values()),
        labels=list(entries),
        frameon=False,
        title=title,
        **place,
    )
    _take_literally(legend)


def _columns(entries: Iterable[str], figure: Figure | SubFigure) -> int:
    """In how many columns a legend fits below a figure."""
    lengths = [max(map(len, entry.split("\n"))) for entry in entries]
    for n in range(len(lengths), 1, -1):
        parts = [part for part in np.array_split(lengths, n) if len(part)]
        if sum(0.4 + 0.065 * max(part) for part in parts) < inches(figure)[0]:
            return n
    return 1


def _take_literally(legend: Legend) -> None:
    """Take a $ in a name for a $, not for the beginning of a formula."""
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)


def add_headline(figure: Figure | SubFigure, text: str, *, size: str = "medium") -> None:
    """Write a line above the figure, from its left edge: how many stimuli, and what was done."""
    text = wrapped(text, inches(figure)[0] - 0.2, size)
    figure.suptitle(text, fontsize=size, x=0.01, ha="left", parse_math=False)
