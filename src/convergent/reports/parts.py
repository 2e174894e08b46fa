"""What a page consists of: sections, and the texts, tables, drawings and code in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from matplotlib.figure import Figure

__all__ = ["Cell", "Code", "Column", "Drawing", "Part", "Section", "Table", "Terms", "Text"]


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text, which the page escapes.

    Attributes
    ----------
    paragraphs : tuple of str
        In order.
    copied : bool
        Whether there is a button that copies them.
    """

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]
    copied: bool = False


@dataclass(frozen=True)
class Terms:
    """Terms, each with what is known of it.

    Attributes
    ----------
    items : dict of str
        Explanation by term.
    summary : str
        If given, the list is folded away under these words.
    """

    kind: ClassVar[str] = "terms"
    items: Mapping[str, str]
    summary: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    head : str
        Its name, in words.
    about : str
        What is in it, in a sentence.
    is_text : bool
        Whether it holds names or words, not numbers.
    """

    head: str
    about: str = ""
    is_text: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
        What is in it.
    note : str
        A second, smaller line.
    shade : int
        Strength of its background in percent; negative for another colour.
    is_best : bool
        Whether it is the highest of its column.
    """

    text: str
    note: str = ""
    shade: int = 0
    is_best: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows.

    Attributes
    ----------
    caption : str
        What is in it, in a sentence or two.
    columns : tuple of Column
        From left to right.
    rows : sequence of sequence of Cell
        From top to bottom.
    groups : tuple of (str, int)
        Heads above the columns after the first, with the number of columns below each.
    is_sortable : bool
        Whether a click on the head of a column sorts the rows.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    groups: tuple[tuple[str, int], ...] = ()
    is_sortable: bool = False

    @property
    def definitions(self) -> dict[str, str]:
        """What is in each column, by its name."""
        return {column.head: column.about for column in self.columns if column.about}


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption.

    Attributes
    ----------
    figure : Figure
        The figure.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        How to read it.
    """

    kind: ClassVar[str] = "drawing"
    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Lines of code or of a file, with a button that copies them.

    Attributes
    ----------
    text : str
        The lines.
    label : str
        What they are.
    is_folded : bool
        Whether they are folded away under the label.
    """

    kind: ClassVar[str] = "code"
    text: str
    label: str
    is_folded: bool = False


Part = Text | Terms | Table | Drawing | Code


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes
    ----------
    key : str
        Its address in the page.
    title : str
        Its heading.
    parts : list of Part
        What is in it; a section without parts does not appear.
    """

    key: str
    title: str
    parts: Sequence[Part | Any] = field(default_factory=tuple)
