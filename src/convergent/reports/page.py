"""HTML pages: their templates, the tables and figures in them, and how they are written."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ..base.errors import shortened, shown
from ..base.files import as_path, remove_leftovers, write_whole

__all__ = ["write_page"]


def write_page(path: str | os.PathLike[str], template: str, **values: Any) -> Path:
    """Fill in a template and write the page whole or not at all.

    Parameters
    ----------
    path : path
        Where to write; an existing file is replaced.
    template : str
        Name of a file in the folder ``templates``.
    **values : object
        What the template asks for. Texts are escaped; tables and figures pass through the filters
        ``table``, ``png`` and ``svg``, so that the page needs no other file.

    Returns
    -------
    Path
        The page.
    """
    text = _TEMPLATES.get_template(template).render(values)
    path = as_path(path)
    remove_leftovers(path.parent)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _name(name: object) -> str:
    """A name whose every character is visible; of a long one both ends."""
    return shortened(shown(name), _MOST)


def _table(frame: pd.DataFrame, **options: Any) -> Markup:
    """The rows of a table; pandas escapes what is in them."""
    texts = frame.select_dtypes(exclude=["number", "bool"])
    visible = frame.assign(**texts.map(lambda each: _name(each) if isinstance(each, str) else each))
    visible = visible.rename(columns=_name, index=lambda key: _name(key))
    return Markup(visible.to_html(border=0, float_format="{:.3f}".format, **options))


def _png(figure: Figure) -> str:
    """The pixels of a figure as the address of an image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _svg(figure: Figure) -> Markup:
    """The drawing of a figure; matplotlib escapes what is in it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])  # without the head of a file of its own


_MOST = 200  # characters of a name, or of the words in a table

_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,  # a value that a template lacks is an error
    trim_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {"name": _name, "table": _table, "png": _png, "svg": _svg}
