"""HTML pages: their templates, and how they are written."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..base.errors import shortened, shown
from ..base.files import as_path, remove_leftovers, write_whole
from .parts import Section
from .svg import as_svg

__all__ = ["write_page"]


def write_page(
    path: str | os.PathLike[str], title: str, lead: str, sections: Iterable[Section]
) -> Path:
    """Fill in the template and write the page whole or not at all.

    Parameters
    ----------
    path : path
        Where to write; an existing file is replaced.
    title : str
        Title of the page.
    lead : str
        What the page is about, in a sentence or two below the title.
    sections : iterable of Section
        In order. Texts are escaped; sections without parts are left out.

    Returns
    -------
    Path
        The page, which needs no other file, and asks for nothing over the network.
    """
    text = _TEMPLATES.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        sections=[section for section in sections if section.parts],
        script=Markup(_SCRIPT),
        script_sha256=_sha256(_SCRIPT),
    )
    path = as_path(path)
    remove_leftovers(path.parent)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _sha256(text: str) -> str:
    """Hash of a script, by which a page allows it and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _name(name: object) -> str:
    """A name whose every character is visible; of a long one both ends."""
    return shortened(shown(name), _MOST)


def _breakable(name: object) -> Markup:
    """A name in a cell; a long one may go on in the next line after a point or a line below."""
    text = _name(name)
    if len(text) <= _LONG or " " in text:
        return escape(text)
    return Markup("<wbr>").join(_MAY_BREAK.split(text))


def _visible(text: object) -> str:
    """Text of any length whose every character is visible; lines stay lines."""
    return "\n".join(shown(line) for line in str(text).split("\n"))


_MOST = 200  # characters of a name, or of the words in a table
_LONG = 24  # characters of a name that stays in one line
_MAY_BREAK = re.compile(r"(?<=[._/])(?=\w)")
_SCRIPT = files(__package__).joinpath("templates", "page.js").read_text(encoding="utf-8")

_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,  # a value that a template lacks is an error
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {"name": _name, "breakable": _breakable, "visible": _visible, "svg": as_svg}
