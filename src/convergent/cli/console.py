"""What the commands print, and write to a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ..base.errors import InputError
from ..base.files import write_whole

__all__ = ["make_folder", "note", "print_rows", "print_scores", "print_table", "write_all"]


def note(text: str) -> None:
    """Tell how the work goes, on stderr."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


def make_folder(folder: Path | None) -> Path | None:
    """The folder, made where there is none."""
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error}): choose another folder with --out."
        ) from error
    return folder


def write_all(folder: Path, writers: Mapping[str, Callable[[Path], object]]) -> list[str]:
    """Write files by name, each whole or not at all."""
    for name, write in writers.items():
        write_whole(folder / name, write)
    return list(writers)


def print_rows(rows: Sequence[Mapping[Any, Any]]) -> None:
    """One JSON array, a row a line; what is not a number is null."""
    clean = [
        {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    print("[\n" + ",\n".join(json.dumps(row) for row in clean) + "\n]")


def print_scores(table: pd.DataFrame, title: str) -> None:
    """One table a target: a row a layer, a column a metric."""
    console = Console()
    notes = "r on held-out stimuli"
    notes += ", [95% interval]" if "r_low" in table else ""
    notes += ", (r / ceiling)"
    notes += ", * not told from the best layer" if "among_best" in table else ""
    console.print(
        f"\n{title}, {table['n_stimuli'].iloc[0]} stimuli: {notes}", markup=False, highlight=False
    )
    for target, part in table.groupby("target", sort=False):
        kept, left_out = (part[c].iloc[0] for c in ("n_units", "n_units_excluded"))
        ceilings = [f"{ceiling:.3f}" for ceiling in part["ceiling"].dropna()]
        known = f"ceiling {', '.join(dict.fromkeys(ceilings))}" if ceilings else "no ceiling"
        head = f"{target}: {known}, {kept} units" + (f", {left_out} left out" if left_out else "")
        rows = part.assign(shown=[_shown(row) for row in part.to_dict("records")])
        rows = rows.pivot_table(
            index="source", columns="metric", values="shown", aggfunc="first", sort=False
        )
        print_table(head, rows.reset_index())


def _shown(row: Mapping[Any, Any]) -> str:
    """A score in words: r, its interval, (normalized), a star if among the best, p."""
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


def print_table(title: str, frame: pd.DataFrame) -> None:
    """A table, a row a row of the frame."""
    table = Table()
    for column in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        table.add_column(
            str(column).replace("_", " "), justify="right" if numeric else "left", overflow="fold"
        )
    for row in frame.itertuples(index=False):
        table.add_row(
            *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row)
        )
    console = Console(highlight=False)
    console.print(title, markup=False)
    console.print(table)
