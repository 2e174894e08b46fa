"""HTML of values in notebooks: light or dark, with names of any origin, which do not act."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import shortened, shown

__all__ = ["brief", "in_short", "numbers", "page_of"]

_MOST = 60  # characters of a name
_FEW = 6  # different values that are listed
_CELL = "text-align:left; vertical-align:top; overflow-wrap:break-word"


def brief(name: object) -> str:
    """A name as a terminal or page can hold it."""
    return shortened(shown(name), _MOST)


def numbers(value: float) -> str:
    """A number in three digits: ``0.554``, ``12000``, ``1e-05``."""
    return f"{value:.3g}" if abs(value) < 1000 or not np.isfinite(value) else f"{value:.0f}"


def in_short(values: NDArray[np.generic]) -> str:
    """Many labels in short: their range, how often each occurs, or the first of them.

    Parameters
    ----------
    values : array (n,)
        Numbers or texts.

    Examples
    --------
    >>> import numpy as np
    >>> in_short(np.array([0.71828182, 0.31415926, 0.5, 0.6, 0.7, 0.8, 0.9]))
    '0.314 to 0.9'
    >>> in_short(np.array(["V1"] * 2 + ["V4"] * 7))
    'V1 (2), V4 (7)'
    >>> in_short(np.array(["a.png", "b.png", "c.png", "d.png"]))
    'a.png, b.png, c.png, ...'
    """
    distinct = list(dict.fromkeys(values.tolist()))
    is_number = values.dtype.kind in "iuf"
    if len(distinct) <= _FEW < len(values):
        return ", ".join(
            f"{numbers(value) if is_number else brief(value)} ({int((values == value).sum())})"
            for value in distinct
            if value == value
        )
    if is_number and len(values) > _FEW:
        known = values[np.isfinite(values)].astype(np.float64)
        return f"{numbers(known.min())} to {numbers(known.max())}" if len(known) else "unknown"
    first = [numbers(value) if is_number else brief(value) for value in values[:3].tolist()]
    return ", ".join(first) + (", ..." if len(values) > len(first) else "")


def page_of(
    title: str,
    rows: Iterable[Sequence[str]],
    heads: Sequence[str] = (),
    *,
    images: Mapping[str, str] | None = None,
) -> str:
    """HTML with a title, a table and images; it takes the colours of the notebook.

    Parameters
    ----------
    title : str
        The first line.
    rows : iterable of sequence of str
        Cells; the first of a row names it.
    heads : sequence of str
        Names of the columns.
    images : dict of str, optional
        Addresses (``data:``) of images by their names.

    Returns
    -------
    str
        All texts are escaped.
    """
    head = "".join(f'<th scope="col" style="{_CELL}">{_text(one)}</th>' for one in heads)
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="{_CELL}">{_text(row[0])}</th>'
        + "".join(f'<td style="{_CELL}; max-width:40em">{_text(one)}</td>' for one in row[1:])
        + "</tr>"
        for row in rows
    )
    pictures = "".join(
        '<figure style="display:inline-block; margin:0 .5em .5em 0; max-width:8em; '
        f'vertical-align:top"><img src="{html.escape(source)}" alt="{_text(name)}" '
        f'style="display:block"><figcaption style="font-size:.8em; overflow-wrap:anywhere">'
        f"{_text(name)}</figcaption></figure>"
        for name, source in (images or {}).items()
    )
    table = (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )
    return (
        f'<div><p style="margin:.25em 0"><strong>{_text(title)}</strong></p>'
        f"{pictures}{table if body else ''}</div>"
    )


def _text(text: object) -> str:
    return html.escape(shown(text))
