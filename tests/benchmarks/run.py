"""Time convergent against the library one would take instead, in one run on the same arrays.

    python tests/benchmarks/run.py [--only ridge,permutation] [--rounds 3] [--device cuda]
    python tests/benchmarks/run.py --scaling

Each program runs in a fresh process, convergent's and its peers' in turn. Writes results.csv and
results.md below --out (with --scaling, scaling.csv and scaling.png). Interrupt at any time: each
finished run is kept below --out, and is not done again unless --fresh says so.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scaling
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_info
from workloads import NOTHING, WORKLOADS, Found, Workload

EVERY = WORKLOADS | scaling.WORKLOADS
OURS = "convergent"
LIBRARIES = ["convergent", "numpy", "scipy", "scikit-learn", "POT", "torch", "xarray", "zarr"]
LIBRARIES += ["dask", "himalaya", "efficientnet-lite-pytorch"]

Run = dict[str, Any]  # seconds, memory and machine of one run, as they are kept


def main() -> int:
    """Do the runs that are missing, and write the tables."""
    options = _options()
    if options.make:
        EVERY[options.make].make(options.folder, options.small)
        return 0
    if options.one:
        print(json.dumps(one(*options.one, options)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that large arrays are not left
    options.out.mkdir(parents=True, exist_ok=True)
    if options.scaling:
        points = {name: measured(name, options) for name in scaling.WORKLOADS}
        scaling.write(options.out, points)
        print(f"written: {options.out / 'scaling.csv'}, {options.out / 'scaling.png'}")
        return 0
    rows, runs = [], []
    for name in options.only:
        if not WORKLOADS[name].possible():
            print(f"{name}: left out, as something it needs is not here", file=sys.stderr)
            continue
        found = measured(name, options)
        runs += [run for each in found.values() for run in each]
        rows += compared(name, found, options)
        write(rows, runs, options)  # after each, as the whole takes long
    Console(width=200).print(printed(rows))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=_names, default=list(WORKLOADS), help=f"of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program")
    parser.add_argument("--device", default="cpu", help="where torch computes")
    parser.add_argument("--small", action="store_true", help="tiny arrays, to try the harness")
    parser.add_argument("--scaling", action="store_true", help="how cost grows, instead")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder to write to")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    parser.add_argument("--make", help=argparse.SUPPRESS)  # of one process
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--answers", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in WORKLOADS]:
        raise argparse.ArgumentTypeError(f"no workload {unknown[0]!r}: {', '.join(WORKLOADS)}")
    return names


# One run, in a process of its own


def one(name: str, program: str, options: argparse.Namespace) -> Run:
    """Time one program, and write what it found."""
    workload = EVERY[name]
    run = workload.programs[program.removesuffix("-cpu")].run
    device = "cpu" if program.endswith("-cpu") else options.device
    # on tiny arrays first: modules that load late, threads and the device are then ready
    with tempfile.TemporaryDirectory() as folder:
        workload.make(Path(folder), True)
        run(workload.load(Path(folder), program) | {"device": device})
    data = workload.load(options.folder, program) | {"device": device}
    gc.collect()
    before = _memory("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    start, cpu_start = time.perf_counter(), time.process_time()
    found = dict(run(data))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak, times = _memory("VmHWM"), found.pop("stands_for", 1)
    answers = {key: value() if callable(value) else value for key, value in found.items()}
    np.savez(options.answers, **answers)
    return {
        "seconds": seconds * times,
        "cpu_seconds": cpu_seconds * times,  # of all threads: tells of others on the machine
        "growth_mb": max(peak - before, 0.0),
        "peak_mb": peak,
        "machine": machine(options.device),
    }


def _memory(entry: str) -> float:
    """Memory of this process in MB: what it holds (VmRSS), or the most that it held (VmHWM).

    Where there is no /proc, both are the most that it held. That of `resource` is second choice, as
    on Linux it counts the process that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(entry))
    except (OSError, StopIteration):
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def machine(device: str) -> dict[str, str]:
    """What a time depends on, besides the program."""
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions[library] = version(library)
    blas = {
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "system": platform.platform(terse=True),
        "BLAS": ", ".join(sorted(blas)),
        "BLAS of torch": "MKL" if torch.backends.mkl.is_available() else "other",
        "Python": platform.python_version(),
        "versions": ", ".join(f"{library} {number}" for library, number in versions.items()),
    }
    if device.startswith("cuda"):
        facts["GPU"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# All runs of a workload


def measured(name: str, options: argparse.Namespace) -> dict[str, list[Run]]:
    """Runs of each program, those that are kept and those that were missing."""
    workload, folder = EVERY[name], _kept(name, options)
    folder.mkdir(parents=True, exist_ok=True)
    programs = _programs(workload, options)
    due = [
        (program, folder / f"{program}-{i}.json")
        for i in range(options.rounds)
        for program, most in programs.items()
        if i < (most or options.rounds)
    ]
    missing = [(p, file) for p, file in due if options.fresh or not file.exists()]
    if missing:
        # beside the results, as a folder for temporary files may be held in memory
        with tempfile.TemporaryDirectory(dir=options.out, prefix=".arrays-") as arrays:
            made = _process(["--make", name, "--folder", arrays], options) is not None
            for program, file in missing if made else ():
                answers = file.with_name(f"{program}.npz")
                here = ["--folder", arrays, "--answers", str(answers)]
                run = _process(["--one", name, program, *here], options)
                if run is not None:
                    file.write_text(run)
                    print(
                        f"{name}, {file.stem}: {json.loads(run)['seconds']:.3g} s", file=sys.stderr
                    )
    found: dict[str, list[Run]] = {program: [] for program in programs}
    for program, file in due:
        if file.exists():
            found[program].append(json.loads(file.read_text()))
    return found


def _kept(name: str, options: argparse.Namespace) -> Path:
    size = "small" if options.small else "full"
    return options.out / "runs" / f"{size}-{options.device}" / name


def _programs(workload: Workload, options: argparse.Namespace) -> dict[str, int | None]:
    """The programs that can run here, and how often at most."""
    here = {
        name: program.rounds
        for name, program in workload.programs.items()
        if program.needs is None or find_spec(program.needs)
    }
    if options.device != "cpu":  # convergent on a GPU must find what it finds without
        here[f"{OURS}-cpu"] = 1
    return here


def _process(arguments: list[str], options: argparse.Namespace) -> str | None:
    """Last line that a fresh process of this file prints; None, and a message, where it fails."""
    command = [sys.executable, __file__, *arguments, "--device", options.device]
    command += ["--small"] if options.small else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"failed ({done.returncode}): {' '.join(arguments[:3])}", file=sys.stderr)
        return None
    return (done.stdout.splitlines() or [""])[-1]


# Tables


def compared(name: str, found: dict[str, list[Run]], options: argparse.Namespace) -> list[Run]:
    """A row for each peer, or one where there is none."""
    workload, rows = EVERY[name], []
    ours, *peers = found
    for peer in peers or [None]:
        if not found[ours] or not found[peer or ours]:
            continue  # failed
        asked = workload.programs[peer].asked if peer in workload.programs else NOTHING
        if peer is None:
            asked = workload.programs[ours].asked
        mine, theirs = _figures(found[ours]), _figures(found[peer]) if peer else {}
        ratio = theirs["seconds"] / mine["seconds"] if peer else np.nan
        answers = [_answers(program, name, options) for program in (ours, peer) if program]
        agreement = workload.agreement(*answers, *([] if peer else [None]))
        met = asked.met(ratio if peer else np.inf, mine["seconds"], mine["peak_mb"] / 1024)
        rows.append(
            {
                "workload": name,
                "what": workload.title,
                "device": options.device,
                "peer": peer or "",
                **{f"peer_{key}": value for key, value in theirs.items()},
                **mine,
                "ratio": ratio,
                "memory_ratio": theirs["growth_mb"] / max(mine["growth_mb"], 1) if peer else np.nan,
                "asked": str(asked),
                "met": ("yes" if met else "no") if any(asked) else "",
                "agreement": json.dumps(agreement),
            }
        )
    return rows


def _figures(runs: list[Run]) -> dict[str, float]:
    """Medians of some runs; of their seconds, the extremes too."""
    keys = ("seconds", "cpu_seconds", "growth_mb", "peak_mb")
    seconds, cpu_seconds, growth, peak = ([run[key] for run in runs] for key in keys)
    return {
        "rounds": len(runs),
        "seconds": float(np.median(seconds)),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
        "cpu_seconds": float(np.median(cpu_seconds)),
        "growth_mb": float(np.median(growth)),
        "peak_mb": float(np.median(peak)),
    }


def _answers(program: str, name: str, options: argparse.Namespace) -> Found:
    with np.load(_kept(name, options) / f"{program}.npz") as archive:
        return dict(archive)


def write(rows: list[Run], runs: list[Run], options: argparse.Namespace) -> None:
    """The tables, as CSV and as text."""
    pd.DataFrame(rows).to_csv(options.out / "results.csv", index=False)
    lines = ["# convergent and its peers", ""]
    lines += [
        f"- {name}: {WORKLOADS[name].title}" for name in dict.fromkeys(r["workload"] for r in rows)
    ]
    cells = [shown(row) for row in rows]
    head = list(cells[0]) if cells else []
    table = [head, ["---"] * len(head), *(list(row.values()) for row in cells)]
    lines += ["", *(f"| {' | '.join(row)} |" for row in table), "", NOTES, ""]
    machines = list(dict.fromkeys(json.dumps(run["machine"]) for run in runs))
    for i, facts in enumerate(machines):
        lines += [f"## Machine{'' if len(machines) == 1 else f' {i + 1}'}", ""]
        lines += [*(f"- {key}: {value}" for key, value in json.loads(facts).items()), ""]
    if options.small:
        lines.insert(1, "\nTiny arrays, to try the harness: no times to rely on.")
    (options.out / "results.md").write_text("\n".join(lines))


NOTES = """\
Time: median of the rounds (least to most), each in a fresh process, from arrays in memory to the
answer. Memory: how far the process grew beyond its modules and arrays, at its peak (in brackets,
all that it held). Ratios: the peer's over convergent's. Asked: the least ratio of times, or the
most seconds and memory of convergent's. Some peers did a part, and their time stands for the
whole: of Procrustes one fold of five, of the sweep 3 of 144 pairs and one fold of five, of shuffles
2 of 1,000."""


def shown(row: Run) -> dict[str, str]:
    """A row as it is printed."""
    agreement = json.loads(row["agreement"])
    peer = bool(row["peer"])
    return {
        "workload": row["workload"],
        "peer": row["peer"],
        "its time": _seconds(row, "peer_") if peer else "",
        "its memory": _megabytes(row, "peer_") if peer else "",
        "our time": _seconds(row, ""),
        "our memory": _megabytes(row, ""),
        "times": f"{row['ratio']:.3g}x" if peer else "",
        "memory": f"{row['memory_ratio']:.2g}x" if peer else "",
        "asked": row["asked"],
        "met": row["met"],
        "agreement": "; ".join(f"{what} {value:.6g}" for what, value in agreement.items()),
    }


def _seconds(row: Run, whose: str) -> str:
    middle, least, most = (row[f"{whose}seconds{end}"] for end in ("", "_min", "_max"))
    spread = f" ({least:.3g}–{most:.3g})" if row[f"{whose}rounds"] > 1 else ""
    return f"{middle:.3g} s{spread}"


def _megabytes(row: Run, whose: str) -> str:
    return f"{row[f'{whose}growth_mb']:.0f} MB ({row[f'{whose}peak_mb']:.0f})"


def printed(rows: list[Run]) -> Table:
    """The table for a terminal."""
    table = Table(title="convergent and its peers")
    cells = [shown(row) for row in rows]
    for name in cells[0] if cells else []:
        table.add_column(name)
    for row in cells:
        table.add_row(*row.values())
    return table


if __name__ == "__main__":
    sys.exit(main())
