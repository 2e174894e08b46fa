"""What the commands print: JSON rows or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Row", "note", "print_rows", "print_scores", "print_table", "timed"]

Row = Mapping[Any, Any]


def note(text: str) -> None:
    """Print a line on stderr."""
    _console(stderr=True, soft_wrap=True).print(text)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print on stderr how long something took."""
    began = time.perf_counter()
    yield
    note(f"{what}: {time.perf_counter() - began:.1f} s")


def print_rows(rows: Iterable[Row]) -> None:
    """Print a JSON array, one row per line; NaN becomes null."""
    clean = [
        {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    print("[\n" + ",\n".join(json.dumps(row) for row in clean) + "\n]")


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print a table with a title; all rows have the same columns."""
    table = Table()
    for column in rows[0]:
        numeric = all(isinstance(row[column], Number) for row in rows)
        table.add_column(
            str(column).replace("_", " "),
            justify="right" if numeric else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_written(row[column]) for column in rows[0]))
    console = _console()
    console.print(title)
    console.print(table)


def print_scores(title: str, table: pd.DataFrame) -> None:
    """Print a table for each target, with one row per layer and one column per metric."""
    notes = "r on held-out stimuli"
    notes += ", [95% interval]" if "r_low" in table else ""
    notes += ", (normalized)"
    notes += ", * not significantly worse than the best layer" if "among_best" in table else ""
    least, most = table["n_stimuli"].min(), table["n_stimuli"].max()
    n_stimuli = f"{least}" if least == most else f"{least} to {most}"
    _console().print(f"\n{title}, {n_stimuli} stimuli: {notes}")
    for target, part in table.groupby("target", sort=False):
        included, excluded = (part[c].iloc[0] for c in ("n_units", "n_units_excluded"))
        ceilings = [f"{ceiling:.3f}" for ceiling in part["ceiling"].dropna()]
        known = f"ceiling {', '.join(dict.fromkeys(ceilings))}" if ceilings else "no ceiling"
        head = f"{target}: {known}, {included} units"
        rows: dict[str, dict[str, str]] = {}
        for row in part.to_dict("records"):
            of_source = rows.setdefault(row["source"], {"source": row["source"]})
            of_source[row["metric"]] = _score(row)
        print_table(head + (f", {excluded} excluded" if excluded else ""), list(rows.values()))


def _console(**settings: Any) -> Console:
    """A console that prints text as it is: names may hold brackets and colons."""
    return Console(markup=False, emoji=False, highlight=False, **settings)


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
    return f"{value:.3f}" if isinstance(value, float) else str(value)
