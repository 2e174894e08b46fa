"""The whole calibration: simulated experiments, tables and figures.

    python tests/calibration/run.py --out FOLDER [--experiments 400] [--jobs 2]

Each condition's table is written to FOLDER/conditions as it is finished. Interrupt at any time:
what is there with the same settings, made by the same code, is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from figures import FIGURES
from studies import (
    STUDIES,
    VERDICTS,
    Condition,
    experiments,
    power_curves,
    processes,
    table_of,
)

import convergent as cv
from convergent.base.progress import track

HERE = Path(__file__).parent
Found = dict[str, tuple[pd.DataFrame, pd.DataFrame]]  # study -> all rows, summary

# what stands in the columns of a summary, and with which error, where it is told side by side
SIDE_BY_SIDE = {
    "ceilings": (["metric", "noise", "ceiling"], ["n_stimuli"], "normalized"),
    "inter-subject": (["metric", "noise", "ceiling"], ["n_stimuli"], "normalized"),
    "coverage": (
        ["n_stimuli", "subjects", "ceiling", "quantity", "source"],
        ["metric"],
        "coverage",
    ),
    "power": (["n_stimuli"], ["repeats"], "smallest_difference"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is not yet done, and write tables, figures and the report."""
    options = _parser().parse_args(arguments)
    folder = options.out
    (folder / "conditions").mkdir(parents=True, exist_ok=True)
    code = code_hash()
    found: Found = {}
    try:
        with processes(options.jobs) as pool:
            for name in options.only:
                rows = _rows(name, options, code, pool)
                found[name] = rows, STUDIES[name].summarize(rows)
                write(folder, found, options.experiments, code)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    print(f"written: {folder / 'calibration.md'}")
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and figures")
    parser.add_argument("--experiments", type=int, default=400, help="of each condition")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument(
        "--only", nargs="+", choices=list(STUDIES), default=list(STUDIES), help="these studies"
    )
    parser.add_argument(
        "--any-code", action="store_true", help="keep tables made by an earlier version of the code"
    )
    return parser


def code_hash() -> str:
    """Of the package and the simulations: another hash, and experiments are done again."""
    own = [HERE / f"{name}.py" for name in ("simulations", "studies", "experiments")]
    files = [*Path(cv.__file__).parent.rglob("*.py"), *own]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _rows(name, options, code, pool):
    """All rows of a study, from files or from new experiments."""
    tables = []
    for condition in STUDIES[name].conditions(options.experiments):
        file = options.out / "conditions" / f"{name}-{condition.name}.csv"
        rows = read(file, condition, None if options.any_code else code)
        words = f"{name}, {condition.name}: {condition.experiments} experiments"
        if rows is None:
            start = time.perf_counter()
            each = experiments(name, condition, pool)
            done = list(track(each, words, condition.experiments))
            save(file, table_of(condition, done), condition, code)
            rows = read(file, condition, code)
            print(f"{words}, {time.perf_counter() - start:.0f} s", flush=True)
        else:
            print(f"{words}, there already", flush=True)
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)


def read(file: Path, condition: Condition, code: str | None) -> pd.DataFrame | None:
    """A condition's table, if it is there with these settings (and made by this code)."""
    if not file.exists():
        return None
    with file.open() as lines:
        made = json.loads(lines.readline().removeprefix("# "))
        wanted = _heading(condition, made["code"] if code is None else code)
        return pd.read_csv(lines) if made == wanted else None


def save(file: Path, rows: pd.DataFrame, condition: Condition, code: str) -> None:
    """Write a condition's table whole, or not at all."""
    part = file.with_suffix(".part")
    heading = json.dumps(_heading(condition, code))
    part.write_text(f"# {heading}\n{rows.to_csv(index=False)}")
    part.replace(file)


def _heading(condition, code):
    return {"settings": condition.settings, "experiments": condition.experiments, "code": code}


def write(folder: Path, found: Found, asked: int, code: str) -> None:
    """Tables, figures and the report of the studies that are done."""
    for name, (rows, summary) in found.items():
        summary.to_csv(folder / f"{name}.csv", index=False)
        if name == "power":
            power_curves(rows).to_csv(folder / "power-curves.csv", index=False)
    drawn = {}
    for name, (needed, draw) in FIGURES.items():
        if set(needed) <= set(found):
            draw(found).savefig(folder / f"{name}.png", dpi=150)
            drawn[needed[-1]] = name
    (folder / "calibration.md").write_text(report(found, drawn, asked, code))


def report(found: Found, figures: dict[str, str], asked: int, code: str) -> str:
    """All tables as Markdown, with what they are to meet."""
    parts = [
        "# Calibration: simulations with known answers",
        f"convergent {cv.__version__}, code {code}; up to {asked} experiments of each condition. "
        "± is one Monte-Carlo standard error. 'within error': missed by at most two of these.",
    ]
    for name, (_, table) in found.items():
        study = STUDIES[name]
        parts += [f"## {study.question}", study.experiment.__doc__.split("\n\n")[0]]
        if "meets" in table:
            said = table["meets"].value_counts()
            counts = ", ".join(f"{word}: {said.get(word, 0)}" for word in VERDICTS)
            parts.append(f"Meets what is wanted: {counts}.")
            missed = table[table["meets"].isin(VERDICTS[1:])]
            if len(missed) and name in SIDE_BY_SIDE:
                parts += ["Those that do not:", markdown(missed)]
        parts.append(markdown(side_by_side(name, table)))
        if name in figures:
            parts.append(f"![{study.question}]({figures[name]}.png)")
    return "\n\n".join(parts) + "\n"


def side_by_side(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A summary as a reader wants it: one row for what varies least."""
    if name not in SIDE_BY_SIDE:
        return table
    index, columns, value = SIDE_BY_SIDE[name]
    cells = [f"{v:.3f} ± {e:.3f}" for v, e in zip(table[value], table["error"], strict=True)]
    wide = table.assign(cell=cells).pivot_table(
        index=index, columns=columns, values="cell", aggfunc="first", sort=False
    )
    return wide.rename(columns=lambda label: f"{columns[0]} {label}").reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy(dtype=object).tolist()]
    return "\n".join(f"| {' | '.join(map(_word, line))} |" for line in lines)


def _word(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
