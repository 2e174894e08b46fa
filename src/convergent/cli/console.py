"""What the commands print: JSON rows or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from ..base.errors import shortened, shown
from .tables import NAME, Row, fits, tables, written

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "add_dots",
    "command_line",
    "end_dots",
    "note",
    "print_line",
    "print_rows",
    "print_scores",
    "print_table",
]

_MOST = 100  # characters of a name in a table; files and JSON rows hold all of them


_writing = threading.RLock()
_unfinished = [""]  # the line of dots that stderr ends with, if it ends with one


def add_dots(what: str, first: bool) -> None:
    """Say on stderr that something is being done, or, the next times, that it goes on."""
    with _writing, _until_closed(sys.stderr):
        if sys.stderr is None:
            return
        if first or _unfinished[0] != what:
            end_dots()
            sys.stderr.write(f"{shown(what)} ...")
        else:
            sys.stderr.write(".")
        sys.stderr.flush()
        _unfinished[0] = what


def end_dots() -> None:
    """End the line of dots, if there is one, before something else is printed."""
    with _writing:
        if _unfinished[0] and sys.stderr is not None:
            sys.stderr.write("\n")
            sys.stderr.flush()
        _unfinished[0] = ""


def note(text: str) -> None:
    """Print a line on stderr; of a word that fills several lines, both ends."""
    line = _with_short_words(shown(text), 3 * _MOST)
    with _writing, _until_closed(sys.stderr):
        end_dots()
        _console(stderr=True, soft_wrap=True).print(line)


def command_line(*words: object) -> str:
    """A command as a shell takes it."""
    return shlex.join(["convergent", *map(str, words)])


def print_line(text: str) -> None:
    """Print a line on stdout."""
    end_dots()
    with _until_closed(sys.stdout):
        _console(soft_wrap=True).print(shown(text))


def print_rows(rows: Iterable[Row]) -> None:
    """Print a JSON array, one row per line; numbers that are not finite become null."""
    clean = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    end_dots()
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
    end_dots()
    with _until_closed(sys.stdout):
        console = _console()
        console.print(shown(title))
        for table in tables(rows, names, console.width):
            console.print(table)


def print_scores(title: str, table: pd.DataFrame, ceiling: str | None) -> None:
    """Print a table for each target, with one row per layer and one column per metric.

    Where this is too wide for the terminal, there is a table for each metric.
    """
    notes = "r on held-out stimuli"
    notes += ", [95% interval]" if "r_low" in table else ""
    notes += ", (normalized)" if ceiling else ""
    notes += ", * not significantly worse than the best layer" if "among_best" in table else ""
    least, most = table["n_stimuli"].min(), table["n_stimuli"].max()
    n_stimuli = f"{least}" if least == most else f"{least} to {most}"
    print_line("")
    print_line(f"{title}, {n_stimuli} stimuli")
    print_line(notes)
    for target, part in table.groupby("target", sort=False):
        included, excluded = (part[c].iloc[0] for c in ("n_units", "n_units_excluded"))
        ceilings = [f"{ceiling:.3f}" for ceiling in part["ceiling"].dropna()]
        known = (
            f"{ceiling} ceiling {', '.join(dict.fromkeys(ceilings))}" if ceilings else "no ceiling"
        )
        head = f"{written(target)}: {known}, {included} units"
        head += f", {excluded} excluded" if excluded else ""
        _print_target(head, part.to_dict("records"))


def _print_target(head: str, scores: Sequence[Row]) -> None:
    """Print the scores of one target."""
    metrics = list(dict.fromkeys(row["metric"] for row in scores))
    rows: dict[str, dict[str, str]] = {}
    for row in scores:
        rows.setdefault(row["source"], {"source": row["source"]})[row["metric"]] = _score(row)
    brief = [row | {"source": ""} for row in rows.values()]  # names can be shortened
    if fits(brief, _console().width - NAME):
        print_table(head, list(rows.values()), metrics)
        return
    for metric in metrics:
        of_metric = [_parts(row) for row in scores if row["metric"] == metric]
        empty = {key for key in of_metric[0] if all(row[key] == "" for row in of_metric)}
        known = [{k: v for k, v in row.items() if k not in empty} for row in of_metric]
        print_table(f"{head}; {shown(metric)}", known)


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


def _parts(row: Row) -> dict[str, object]:
    """The same in columns."""
    parts: dict[str, object] = {"source": row["source"], "r": row["r"]}
    if "r_low" in row:
        parts["95% interval"] = f"[{row['r_low']:.3f},\u00a0{row['r_high']:.3f}]"
    finite = math.isfinite(row["normalized"])
    parts["normalized"] = f"{row['normalized']:.2f}" if finite else ""
    if "among_best" in row:
        parts["best"] = "*" if row["among_best"] else ""
    for name in ("shuffle", "untrained"):
        if f"p_{name}" in row:
            parts[f"p {name}"] = f"{row[f'p_{name}']:.2g}"
    return parts


def _with_short_words(text: str, long: int) -> str:
    """Text in which words of so many characters have their ends only."""
    return re.sub(rf"\S{{{long},}}", lambda word: shortened(word[0], _MOST), text)
