"""The whole fault suite: kills, damage, full disks, several processes, hostile input.

    python tests/faults/run.py [--only kills damage] [--of train] [--each 40] [--csv FILE]

Prints a table with one row for each kind of fault, and leaves with exit code 1 if anything was
silently wrong, lost or not resumable, crashed, hung, or left litter.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: threads do not fork

import arguments
import changed_code
import damage
import full_disk
import hostile_files
import hostile_names
import kills
import pandas as pd
import sameness
import together
import works
from apart import warm
from outcomes import FAILED, GOOD, RAW, Outcome, counts
from rich.console import Console
from rich.table import Table

import convergent as cv


@dataclass(frozen=True)
class Study:
    """Faults of one kind.

    Attributes
    ----------
    question : str
        What they ask.
    outcomes : function
        From how many, a seed, and names of parts, to what became of each fault.
    parts : tuple of str
        Names of all parts.
    each : int
        How many of each part.
    few : dict
        How many of which parts, by ``each`` and ``only``, where little is asked for.
    """

    question: str
    outcomes: Callable[..., Iterator[Outcome]]
    parts: tuple[str, ...]
    each: int
    few: dict[str, Any] = field(default_factory=dict)


_OF_CALLS = {
    "returned": "survived",  # the value can be used
    "refused": "noticed",
    "raw": "raw traceback",
    "hung": "crashed or hung",
}


def bad_arguments(each: int, _seed: int, parts: Sequence[str]) -> Iterator[Outcome]:
    """What became of calls of public functions with bad arguments; hypothesis draws them."""
    found: list[Outcome] = []

    def seen(trial: arguments.Trial, outcome: arguments.Outcome) -> None:
        became = _OF_CALLS.get(outcome.kind, "silently wrong")
        found.append(Outcome("bad arguments", str(trial), became, outcome.text))

    if parts:
        arguments.run_arguments(each, seen=seen)
    yield from found


_QUICK_FILES = ("assembly .zarr", "study, .npz", "study, .nc", "checkpoint .pt", ".nii.gz", ".npy")

STUDIES: dict[str, Study] = {
    "kills": Study(
        "Is work resumed after a kill, to bit-equal results?",
        kills.outcomes,
        tuple(works.WORKS),
        40,
        {"each": 2, "only": ("score", "extract, store")},
    ),
    "damage": Study(
        "Is damage of files noticed?",
        damage.outcomes,
        tuple(damage.KINDS),
        96,
        {"each": 2, "only": _QUICK_FILES},
    ),
    "full disk": Study(
        "Is lack of space reported, and does work go on where there is space again?",
        full_disk.outcomes,
        tuple(full_disk.WORKS),
        12,
        {"each": 1, "only": ("save .nc", "score")},
    ),
    "two at once": Study(
        "What do two processes do in one folder?",
        together.outcomes,
        tuple(works.WORKS),
        4,
        {"each": 1, "only": ("extract, store",)},
    ),
    "changed code": Study(
        "Does a study give the result of an earlier network or metric?",
        changed_code.outcomes,
        ("network", "metric"),
        99,
        {"each": 2, "only": ("network", "metric")},
    ),
    "names": Study(
        "Do odd names come through as they are?",
        hostile_names.outcomes,
        tuple(hostile_names.PLACES),
        99,
        {"each": 2, "only": ("unit, saved", "source, scored", "layer, extracted")},
    ),
    "hostile files": Study(
        "Do files run code, leave their folder, or fill the memory?",
        hostile_files.outcomes,
        tuple(hostile_files.ATTACKS),
        99,
        {"each": 99, "only": tuple(hostile_files.ATTACKS)},
    ),
    "sameness": Study(
        "Do threads, order, stores and dask change a bit?",
        sameness.outcomes,
        tuple(sameness.SAME),
        99,
        {"each": 1, "only": ("scores", "activations")},
    ),
    "bad arguments": Study(
        "Are arguments of public functions that make no sense refused?",
        bad_arguments,
        ("public functions",),
        1000,
        {"only": ()},  # `test_arguments.py` tries some; last, as its threads do not fork
    ),
}
HOW = (  # above the table of the page
    "Written by `python tests/faults/run.py --page .docs/faults.md`. A fault is one kill, one "
    "damaged file, one name... in a process of its own; after it the same work is done again. CI "
    "runs a part of it (`--few`)."
)


def main(words: Sequence[str] | None = None) -> int:
    """Try the faults that were asked for, and print what became of them."""
    options = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no folder or disk is left
    asked = {name: _parts(STUDIES[name], options) for name in options.only}
    warm([_warming(options.few)])
    found: dict[str, list[Outcome]] = {}
    for name, (each, parts) in asked.items():
        found[name] = []
        for outcome in STUDIES[name].outcomes(each, options.seed, parts):
            found[name].append(outcome)
            _tell(name, len(found[name]), outcome)
        write(found, options)  # after each, as the whole takes long
    every = [outcome for several in found.values() for outcome in several]
    Console(width=200).print(_printed(counts(every)))
    return int(any(outcome.found in FAILED for outcome in every))


def write(found: dict[str, list[Outcome]], options: argparse.Namespace) -> None:
    """The files that were asked for."""
    if options.csv:
        tables = [pd.DataFrame(several).assign(study=name) for name, several in found.items()]
        pd.concat(tables, ignore_index=True).to_csv(options.csv, index=False)
    if options.page:
        table = counts(outcome for several in found.values() for outcome in several)
        options.page.write_text(page(table, options), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(STUDIES), default=list(STUDIES), help="these studies"
    )
    parser.add_argument("--of", nargs="+", help="only these parts of the studies (works, files)")
    parser.add_argument("--each", type=int, help="how many faults of each part")
    parser.add_argument("--few", action="store_true", help="a few of each study, as CI does")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--csv", type=Path, help="file for what became of each fault")
    parser.add_argument("--page", type=Path, help="file for the table, as a page of the docs")
    return parser


def _parts(study: Study, options: argparse.Namespace) -> tuple[int, tuple[str, ...]]:
    """How many faults, of which parts."""
    settings = {"each": study.each, "only": study.parts} | (study.few if options.few else {})
    wanted = settings["only"]
    if options.of:
        wanted = tuple(part for part in study.parts if part in options.of)
    return options.each or settings["each"], wanted


def _warming(few: bool) -> Callable[[Path], None]:
    """What imports all that is needed."""

    def work(inside: Path) -> None:
        for name, each in works.WORKS.items():
            if not few or name in {"score", "extract, store"}:
                each(inside)

    return work


def _tell(study: str, number: int, outcome: Outcome) -> None:
    """Progress, and all that is not good."""
    if outcome.found not in GOOD:
        print(f"{outcome.kind}, {outcome.case}: {outcome.found}. {outcome.detail}", flush=True)
    elif number % 50 == 0:
        print(f"{study}: {number} tried", file=sys.stderr, flush=True)


def _printed(table: pd.DataFrame) -> Table:
    printed = Table()
    for name in table:
        printed.add_column(name, justify="left" if name == "fault" else "right")
    for row in table.itertuples(index=False):
        printed.add_row(*map(str, row))
    return printed


def _number(options: argparse.Namespace) -> str:
    given = f"--each {options.each}" if options.each else "as many as there are by default"
    return f"{given}{' --few' if options.few else ''}"


def page(table: pd.DataFrame, options: argparse.Namespace) -> str:
    """The table as Markdown, with what its columns mean."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy(dtype=object).tolist()]
    rows = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    totals = table.drop(columns="fault").sum()
    said = ", ".join(f"{name} {number}" for name, number in totals.items() if number)
    meanings = "\n".join(f"- **{name}**: {what}." for name, what in (GOOD | FAILED | RAW).items())
    asked = "\n".join(f"- {STUDIES[name].question}" for name in options.only)
    return (
        "\n\n".join(
            [
                "# Faults: kills, damage, full disks, hostile input",
                f"{HOW} convergent {cv.__version__}, seed {options.seed}, {_number(options)}.",
                asked,
                f"In all: {said}.",
                rows,
                "Columns:",
                meanings,
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
