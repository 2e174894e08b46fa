"""Tables that fit the width of a terminal: numbers are whole, and names are shortened."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from numbers import Number
from typing import Any

from rich.cells import cell_len
from rich.table import Table

from ..base.errors import shortened, shown

__all__ = ["NAME", "Row", "fits", "short_names", "tables", "written"]

Row = Mapping[Any, Any]
_LONGEST = 100  # characters of a name in a table; files and JSON rows hold all of them
NAME = 18  # columns of the terminal that a name keeps, however many columns a table has
_SENTENCE = 24  # the same of text in several words
_BORDER = 3  # of each column; and one for the table
_KEYS = 2  # most columns of names that are repeated where a table is divided


@dataclass(frozen=True)
class _Column:
    """A column as text."""

    head: str
    cells: Sequence[str]
    numeric: bool

    @property
    def wraps(self) -> bool:
        """Whether it holds sentences, which continue in a further line."""
        return not self.numeric and any(" " in cell for cell in self.cells)

    @property
    def longest(self) -> int:
        """Width of its longest cell."""
        return max(map(cell_len, self.cells), default=0)

    @property
    def most(self) -> int:
        """Width where there is enough of it."""
        return max(self.longest, cell_len(self.head))

    @property
    def least(self) -> int:
        """Width below which it cannot be read."""
        word = max(map(cell_len, self.head.split()), default=0)
        if self.numeric:
            return max(self.longest, min(word, self.most))
        if self.wraps:
            return min(self.most, max(word, _SENTENCE))
        return min(self.most, max(word, *map(cell_len, short_names(self.cells, NAME)), 1))


def tables(rows: Sequence[Row], names: Collection[str], width: int) -> Iterator[Table]:
    """Make tables of rows, each of which fits a width.

    Parameters
    ----------
    rows : list of mapping
        All have the same columns.
    names : collection of str
        Columns whose heads are names in the data; in other heads, ``_`` is written as a space.
    width : int
        Columns of the terminal.

    Yields
    ------
    Table
        All columns in one table if they fit; else several tables, which repeat the first columns
        of names.
    """
    columns = _columns(rows, names)
    if _width(columns, "most") <= width:
        yield _table(columns, width)
        return
    columns = _with_short_heads(columns, [str(name) for name in names])
    first = next((i for i, column in enumerate(columns) if column.numeric), len(columns))
    keys, rest = columns[: min(first, _KEYS)], columns[min(first, _KEYS) :]
    while rest:
        several = len(rest)
        while several > 1 and _width([*keys, *rest[:several]], "least") > width:
            several -= 1
        yield _table([*keys, *rest[:several]], width)
        rest = rest[several:]
    if len(columns) == len(keys):
        yield _table(keys, width)


def fits(rows: Sequence[Row], width: int) -> bool:
    """Whether rows fit a width in one table, without folding or shortening anything."""
    return _width(_columns(rows, list(rows[0]) if rows else ()), "most") <= width


def written(value: object) -> str:
    """A cell: a number, a name, or sentences, which are whole."""
    if isinstance(value, float):
        return f"{value:.3f}"
    brief = re.sub(
        rf"\S{{{_LONGEST + 1},}}", lambda word: shortened(word[0], _LONGEST), shown(value)
    )
    return shortened(brief, 10 * _LONGEST)


def short_names(names: Sequence[str], most: int) -> list[str]:
    """Names that fit a width and differ as the names do.

    Parameters
    ----------
    names : sequence of str
        Names of layers, for example, which often begin or end alike.
    most : int
        Most characters; 12 or more.

    Returns
    -------
    list of str
        What all begin and end with is left out where names are too long, up to a dot; then their
        middle. A number is put before names that would still be the same.

    Examples
    --------
    >>> short_names(["model.layers.1.attention.out", "model.layers.12.attention.out"], 12)
    ['...1...', '...12...']
    """
    distinct = list(dict.fromkeys(names))
    if all(cell_len(name) <= most for name in distinct):
        return list(names)
    start = _shared(distinct)
    end = _shared([name[len(start) :][::-1] for name in distinct])
    brief = {}
    for name in distinct:
        middle = name[len(start) : len(name) - len(end)]
        text = f"{'...' if start else ''}{middle}{'...' if end else ''}"
        brief[name] = shortened(text, most)
    if len(set(brief.values())) < len(distinct):
        brief = {
            name: f"{i}: {shortened(brief[name], most - len(f'{i}: '))}"
            for i, name in enumerate(distinct, 1)
        }
    return [brief[name] for name in names]


def _shared(names: Sequence[str]) -> str:
    """What all names begin with, up to a dot or slash; '' for one name."""
    letters = zip(*names, strict=False) if len(names) > 1 else iter(())
    alike = "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, letters))
    return alike[: max(alike.rfind(mark) for mark in "./ ") + 1]


def _columns(rows: Sequence[Row], names: Collection[str]) -> list[_Column]:
    found = []
    for key in rows[0] if rows else ():
        head = written(key if key in names else str(key).replace("_", " "))
        numeric = all(isinstance(row[key], Number) for row in rows)
        found.append(_Column(head, [written(row[key]) for row in rows], numeric))
    return found


def _with_short_heads(columns: Sequence[_Column], names: Sequence[str]) -> list[_Column]:
    """Columns whose heads, where these are names in the data, are about as wide as their cells."""
    of_names = [column.head for column in columns if column.head in set(map(written, names))]
    most = max([14, *(c.longest for c in columns if c.head in of_names)])
    brief = dict(zip(of_names, short_names(of_names, most), strict=True))
    return [replace(column, head=brief.get(column.head, column.head)) for column in columns]


def _width(columns: Sequence[_Column], which: str) -> int:
    return sum(int(getattr(column, which)) + _BORDER for column in columns) + 1


def _table(columns: Sequence[_Column], width: int) -> Table:
    """A table of columns; what is left of the width is for those that need more than the least."""
    table, texts = Table(), []
    left = max(width - _width(columns, "least"), 0)
    for column in columns:
        more = min(column.most - column.least, left)
        left -= more
        room = column.least + more
        is_name = not (column.numeric or column.wraps)
        texts.append(short_names(column.cells, max(room, 12)) if is_name else column.cells)
        head = "\n".join(textwrap.wrap(column.head, room, break_long_words=False) or [""])
        table.add_column(
            head,
            justify="right" if column.numeric else "left",
            overflow="fold",
            no_wrap=not column.wraps,
            min_width=room if column.numeric else None,
            max_width=room if column.wraps else None,
        )
    for row in zip(*texts, strict=True):
        table.add_row(*row)
    return table
