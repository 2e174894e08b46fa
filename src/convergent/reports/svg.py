"""Figures as SVG inside a page: real text, texts under the pointer, colours of the page."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from ..plot._hover import hover_texts

__all__ = ["as_svg"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_MOST_DOTS = 2_000  # of a cloud; more are drawn as pixels
_REACH = 7.0  # points around a dot in which its text is shown
_PIXELS = 4 / 3  # of a page, in a point
_LEAST_SCALE = 0.62  # of a figure on a narrow page, so that its text stays readable
_GREY = re.compile(r"#([0-9a-f]{2})\1\1\b", re.IGNORECASE)
ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)


def as_svg(figure: Figure, alt: str) -> Markup:
    """Draw a figure as an element of a page.

    Parameters
    ----------
    figure : Figure
        Parts that have texts (`plot._hover.add_hover`) show them under the pointer. Clouds of very
        many dots become pixels.
    alt : str
        What the figure shows, for those who do not see it.

    Returns
    -------
    Markup
        An ``svg``. Black, white and greys are the colours of the page, light or dark, unless the
        figure holds images or shaded cells: then it has white paper. An ``img`` where the figure
        holds characters that no SVG can hold.
    """
    with _prepared(figure) as texts:
        text = _saved(figure)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return _png(figure, alt)
    _remove_head(root)
    for gid, found in texts.items():
        element = root.find(f".//{{{_SVG}}}g[@id='{gid}']")
        if element is not None:
            _add_titles(element, found)
    _make_unique(root, hashlib.sha256(text.encode()).hexdigest()[:8])
    if not figure.findobj(lambda artist: isinstance(artist, (AxesImage, QuadMesh))):
        _take_colours_of_page(root)
    else:
        root.set("class", "paper")
    _fit(root, alt)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


@contextmanager
def _prepared(figure: Figure) -> Iterator[dict[str, tuple[str, ...]]]:
    """Name the artists that have texts, and let clouds be drawn as pixels, for one drawing."""
    before: list[tuple[Artist, str | None]] = []
    texts: dict[str, tuple[str, ...]] = {}
    for k, (artist, found) in enumerate(hover_texts(figure).items()):
        before.append((artist, artist.get_gid()))
        artist.set_gid(f"hover{k}")
        texts[f"hover{k}"] = _of_known(artist, found)
    for cloud in figure.findobj(_is_large_cloud):
        cloud.set_rasterized(True)
    try:
        yield texts
    finally:
        for artist, gid in before:
            artist.set_gid(gid)


def _is_large_cloud(artist: Artist) -> bool:
    if isinstance(artist, PathCollection):
        return len(np.asarray(artist.get_offsets())) > _MOST_DOTS
    if isinstance(artist, Line2D) and artist.get_marker() not in {"None", "none", "", " ", None}:
        return len(artist.get_xydata()) > _MOST_DOTS
    return False


def _of_known(artist: Artist, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Texts of the points that are drawn: those that are known."""
    if isinstance(artist, Line2D):
        points = np.asarray(artist.get_xydata(), np.float64)
    elif isinstance(artist, PathCollection):
        points = np.ma.filled(np.ma.asarray(artist.get_offsets(), np.float64), np.nan)
    else:
        return texts
    if len(points) != len(texts):
        return texts
    return tuple(
        text for text, known in zip(texts, np.isfinite(points).all(1), strict=True) if known
    )


def _saved(figure: Figure) -> str:
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "convergent"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=144)
    text = buffer.getvalue()
    return text[text.index("<svg") :]  # without the head of a file of its own


def _png(figure: Figure, alt: str) -> Markup:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup(f'<img class="paper" src="data:image/png;base64,{data}" alt="{escape(alt)}">')


def _remove_head(root: Element) -> None:
    """Remove metadata, and the style sheet, which would hold for the whole page."""
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata" or child.find(f"{{{_SVG}}}style") is not None:
            root.remove(child)


def _add_titles(element: Element, texts: tuple[str, ...]) -> None:
    """Give dots their texts; all dots together one text where they are not as many."""
    dots = [
        (parent, child)
        for parent in element.iter()
        for child in list(parent)
        if child.tag == f"{{{_SVG}}}use"
    ]
    if len(dots) != len(texts) or not dots:
        _add_title(element, texts[0] if len(texts) == 1 else "\n".join(texts))
        return
    for (parent, dot), text in zip(dots, texts, strict=True):
        place = list(parent).index(dot)
        parent.remove(dot)
        group = Element(f"{{{_SVG}}}g", {"class": "hover"})
        _add_title(group, text)
        group.append(dot)
        reach = {"cx": dot.get("x", "0"), "cy": dot.get("y", "0"), "r": f"{_REACH:g}"}
        SubElement(group, f"{{{_SVG}}}circle", reach | {"class": "reach"})
        parent.insert(place, group)


def _add_title(element: Element, text: str) -> None:
    title = Element(f"{{{_SVG}}}title")
    title.text = text
    element.insert(0, title)


def _make_unique(root: Element, prefix: str) -> None:
    """Put a prefix before all ids, as a page holds several figures."""
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"f{prefix}-{value}")
            elif key in {"href", f"{{{_XLINK}}}href"} and value.startswith("#"):
                element.set(key, f"#f{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#f{prefix}-"))


def _take_colours_of_page(root: Element) -> None:
    """Replace greys by mixtures of the page's ink and paper."""
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _GREY.sub(_mixture, element.attrib["style"]))


def _mixture(grey: re.Match[str]) -> str:
    ink = round(100 * (1 - int(grey[1], 16) / 255))
    if ink in {0, 100}:
        return "var(--ink)" if ink else "var(--paper)"
    return f"color-mix(in srgb, var(--ink) {ink}%, var(--paper))"


def _fit(root: Element, alt: str) -> None:
    """Let the page decide the size, within limits, and say what the figure shows."""
    width = float(root.attrib.pop("width", "0pt").removesuffix("pt")) * _PIXELS
    root.attrib.pop("height", None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("style", f"max-width: {width:.0f}px; min-width: {width * _LEAST_SCALE:.0f}px")
