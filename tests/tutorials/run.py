"""Execute the tutorials, and keep their outputs in them.

    python tests/tutorials/run.py [NAME ...] [--check]

NAME is the beginning of a notebook's name (``03``); without one, all are executed. With --check
nothing is written: the outputs are compared with those that are kept, and what disagrees is listed.
The exit status is 1 if a notebook fails, warns, or disagrees.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agreement import differences, present_or_absent
from execution import executed, faults, notebooks, read, write
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute notebooks one after the other; a fault in one does not stop the next."""
    options = _parser().parse_args(arguments)
    chosen = [
        path
        for path in notebooks()
        if not options.names or path.stem.startswith(tuple(options.names))
    ]
    if not chosen:
        print(f"no notebook begins with {', '.join(options.names)}", file=sys.stderr)
        return 2
    wrong = 0
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        for path in chosen:
            start = time.perf_counter()
            found = _done(path, Path(work).resolve(), check=options.check)
            wrong += bool(found)
            state = "fails" if found else "agrees" if options.check else "written"
            print(f"{path.name}: {state}, {time.perf_counter() - start:.0f} s", flush=True)
            for line in found:
                print(f"    {line}", flush=True)
    print(f"{len(chosen)} notebooks, {time.perf_counter() - begun:.0f} s")
    return int(wrong > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of names: 03")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    return parser


def _done(path: Path, work: Path, *, check: bool) -> list[str]:
    """Execute one notebook and keep it, or compare it; what is wrong with it."""
    kept = read(path)
    try:
        made = executed(path, work)
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        return [str(error)]
    found = faults(made)
    if check:
        return found + differences(kept, made, present_or_absent)
    missing = [
        tag
        for cell in made.cells
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("data:") and not present_or_absent(tag.removeprefix("data:"))
    ]
    found += [f"{tag} is not on this machine: set CONVERGENT_DATA" for tag in missing]
    if not found:
        write(made, path)
    return found


if __name__ == "__main__":
    sys.exit(main())
