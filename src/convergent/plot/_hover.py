"""Texts that a page shows where the pointer is over a point or a curve of a figure."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from ..base.errors import shortened, shown

__all__ = ["add_hover", "hover_texts", "texts_of_points"]

_NAMES = ("network", "source", "metric", "target")
_LONGEST = 60  # characters of a name

_TEXTS: WeakKeyDictionary[Artist, tuple[str, ...]] = WeakKeyDictionary()


def add_hover(artist: Artist, texts: str | Iterable[str]) -> None:
    """Keep what a page shows for an artist; files of images do not hold it.

    Parameters
    ----------
    artist : Artist
        A curve with markers, the dots of ``scatter``, or any other part of a figure.
    texts : str or iterable of str
        One text for the whole artist, or one for each of its points, in their order.
    """
    _TEXTS[artist] = (texts,) if isinstance(texts, str) else tuple(texts)


def hover_texts(figure: Figure) -> dict[Artist, tuple[str, ...]]:
    """Find the artists of a figure that have texts, and their texts."""
    found: list[Artist] = figure.findobj(lambda artist: artist in _TEXTS)
    return {artist: _TEXTS[artist] for artist in found}


def texts_of_points(rows: pd.DataFrame) -> list[str]:
    """Names, value and interval of points, given by the rows of a table of scores."""
    names = [name for name in _NAMES if name in rows]
    return [
        ", ".join(shortened(shown(row[name]), _LONGEST) for name in names)
        + f": {row['value']:.3f}"
        + _interval(float(row["low"]), float(row["high"]))
        for row in rows.to_dict("records")
    ]


def _interval(low: float, high: float) -> str:
    return f" ({low:.3f} to {high:.3f})" if np.isfinite([low, high]).all() else ""
