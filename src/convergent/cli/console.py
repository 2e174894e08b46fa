"""What the commands print: JSON rows or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.table import Table

from ..base.errors import shortened, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Row",
    "command_line",
    "note",
    "print_line",
    "print_rows",
    "print_scores",
    "print_table",
    "timed",
]

Row = Mapping[Any, Any]
_MOST = 100  # characters of a name in a table; files and JSON rows hold all of them


def note(text: str) -> None:
    """Print a line on stderr; of a word that fills several lines, both ends."""
    line = _with_short_words(shown(text), 3 * _MOST)
    with _until_closed(sys.stderr):
        _console(stderr=True, soft_wrap=True).print(line)


def command_line(*words: object) -> str:
    """A command as a shell takes it."""
    return shlex.join(["convergent", *map(str, words)])


def print_line(text: str) -> None:
    """Print a line on stdout."""
    with _until_closed(sys.stdout):
        _console(soft_wrap=True).print(shown(text))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print on stderr how long something took."""
    began = time.perf_counter()
    yield
    note(f"{what}: {time.perf_counter() - began:.1f} s")


def print_rows(rows: Iterable[Row]) -> None:
    """Print a JSON array, one row per line; numbers that are not finite become null."""
    clean = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    with _until_closed(sys.stdout):
        print("[\n" + ",\n".join(json.dumps(row) for row in clean) + "\n]", flush=True)


def print_table(title: str, rows: Sequence[Row], names: Collection[str] = ()) -> None:
    """Print a table with a title.

    Parameters
    ----------
    title : str
        What the table shows.
    rows : list of mapping
        All have the same columns.
    names : collection of str
        Columns whose heads are names in the data; in other heads, ``_`` is written as a space.
    """
    table = Table()
    for column in rows[0] if rows else ():
        numeric = all(isinstance(row[column], Number) for row in rows)
        table.add_column(
            _written(column if column in names else str(column).replace("_", " ")),
            justify="right" if numeric else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_written(row[column]) for column in rows[0]))
    with _until_closed(sys.stdout):
        console = _console()
        console.print(shown(title))
        console.print(table)


def print_scores(title: str, table: pd.DataFrame) -> None:
    """Print a table for each target, with one row per layer and one column per metric."""
    notes = "r on held-out stimuli"
    notes += ", [95% interval]" if "r_low" in table else ""
    notes += ", (normalized)"
    notes += ", * not significantly worse than the best layer" if "among_best" in table else ""
    least, most = table["n_stimuli"].min(), table["n_stimuli"].max()
    n_stimuli = f"{least}" if least == most else f"{least} to {most}"
    print_line("")
    print_line(f"{title}, {n_stimuli} stimuli: {notes}")
    for target, part in table.groupby("target", sort=False):
        included, excluded = (part[c].iloc[0] for c in ("n_units", "n_units_excluded"))
        ceilings = [f"{ceiling:.3f}" for ceiling in part["ceiling"].dropna()]
        known = f"ceiling {', '.join(dict.fromkeys(ceilings))}" if ceilings else "no ceiling"
        head = f"{_written(target)}: {known}, {included} units"
        rows: dict[str, dict[str, str]] = {}
        for row in part.to_dict("records"):
            of_source = rows.setdefault(row["source"], {"source": row["source"]})
            of_source[row["metric"]] = _score(row)
        head += f", {excluded} excluded" if excluded else ""
        print_table(head, list(rows.values()), list(part["metric"]))


class _Console(Console):
    """A console that leaves it to us what follows where nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise  # what is being handled: the BrokenPipeError


def _console(**settings: Any) -> Console:
    """A console that prints text as it is: names may hold brackets and colons."""
    return _Console(markup=False, emoji=False, highlight=False, **settings)


@contextmanager
def _until_closed(stream: TextIO) -> Iterator[None]:
    """Go on with the work where nobody reads the stream any more, as after ``| head``."""
    try:
        yield
        if stream is not None:  # as where the program was started without one
            stream.flush()
    except OSError as error:
        # what else is written, now or when Python ends, goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _score(row: Row) -> str:
    """A score as text: r, its interval, (normalized), a star if among the best, p."""
    text = f"{row['r']:.3f}"
    if "r_low" in row:
        text += f" [{row['r_low']:.3f}, {row['r_high']:.3f}]"
    if math.isfinite(row["normalized"]):
        text += f" ({row['normalized']:.2f})"
    if row.get("among_best"):
        text += " *"
    for name in ("shuffle", "untrained"):
        if f"p_{name}" in row:
            text += f" p({name}) {row[f'p_{name}']:.2g}"
    return text


def _written(value: object) -> str:
    """A cell: a number, a name, or sentences, which are whole."""
    if isinstance(value, float):
        return f"{value:.3f}"
    return shortened(_with_short_words(shown(value), _MOST + 1), 10 * _MOST)


def _with_short_words(text: str, long: int) -> str:
    """Text in which words of so many characters have their ends only."""
    return re.sub(rf"\S{{{long},}}", lambda word: shortened(word[0], _MOST), text)
