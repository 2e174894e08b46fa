"""Networks that are trained here: ``convergent train``, and ``findings``, the study of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import convergent as cv

from ..base.display import write_csv
from ..base.errors import InputError
from ..base.netcdf import write_netcdf
from .completion import one_of
from .console import note, print_rows, print_table
from .options import (
    BATCH_SIZE,
    DEVICE,
    N_HELD_OUT,
    N_IMAGES,
    SMALL,
    AsJson,
    Config,
    Device,
    Overwrite,
    home,
    output,
    parts_of,
    protocol,
)
from .places import Files, picture_files, result_folder
from .runs import Run
from .steps import doing, keeps

__all__ = ["findings", "train"]

_RESULTS = ("hierarchy", "trajectory", "shift")


def train(
    network: Annotated[
        str, typer.Argument(autocompletion=one_of(SMALL), help=f"{' or '.join(SMALL)}.")
    ],
    out: Annotated[
        Path,
        output(callback=home, help="Folder in which each training has a folder, NETWORK-SEED."),
    ] = Path("trained"),
    seeds: Annotated[
        str,
        protocol(
            help="Seeds of the initial weights and of the order of images, separated by commas."
        ),
    ] = "0",
    epochs: Annotated[int, protocol(help="Number of passes through the images.")] = 12,
    images: Annotated[int, protocol(help="Number of drawings to learn from.")] = N_IMAGES,
    held_out: Annotated[
        int, protocol(help="Number of other drawings, on which accuracy is measured.")
    ] = N_HELD_OUT,
    batch_size: Annotated[int, protocol(help="Number of images in a step.")] = BATCH_SIZE,
    device: Device = DEVICE,
    as_json: AsJson = False,
) -> None:
    """Train a small network on drawings, and keep its weights from along the way.

    A training that was interrupted continues.
    """
    chosen = parts_of(seeds)
    if not all(part.isdecimal() and len(part) < 10 for part in chosen):
        raise InputError(
            f"--seeds {seeds!r}: give whole numbers of up to 9 digits, with commas: 0,1,2,3."
        )
    rows: list[Any] = []
    keeps("finished checkpoints", out)
    for seed in map(int, chosen):
        folder = out / f"{network}-{seed}"
        with doing(f"training {folder}"):
            log = cv.train(
                network,
                folder,
                seed=seed,
                epochs=epochs,
                images=images,
                held_out=held_out,
                batch_size=batch_size,
                device=device,
            )
        note(f"{folder}: {len(log)} checkpoints, accuracy {log['accuracy'].iloc[-1]:.3f}")
        rows += log.assign(network=network, seed=seed).to_dict("records")
    if as_json:
        print_rows(rows)
    else:
        print_table(f"{network}, trained", rows)


def findings(
    context: typer.Context,
    out: Annotated[
        Path,
        output(
            callback=home,
            help="Folder for trainings, tables and pictures; an interrupted study continues.",
        ),
    ] = Path("findings"),
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    reduced: Annotated[
        bool,
        protocol("--reduced", help="Two networks and a minute or two, as a trial."),
    ] = False,
    device: Device = DEVICE,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train small networks, and test the findings of arXiv 2502.18710 on them.

    Four seeds of two architectures; all layers, checkpoints and distortions.
    """
    from ..experiments.kapoor2025.plan import FULL, REDUCED  # here, as help texts do not need it

    names = (f"{name}.nc" for name in _RESULTS)
    folder = result_folder(out, as_json, Run.of(context, overwrite), *names)
    keeps("finished trainings", out)
    with doing("study of trainings"):
        found = cv.findings(out, REDUCED if reduced else FULL, device=device)
    if as_json:
        print_rows(found.verdicts.to_dict("records"))
    else:
        print_table("findings of arXiv 2502.18710", found.verdicts.to_dict("records"))
    folder.write(lambda: _files(found, folder.run))
    folder.write_study(*(getattr(found, name) for name in _RESULTS))


def _files(found: Any, run: Run) -> Files:
    """The verdicts, all results, and a picture of each finding."""
    files: dict[str, Callable[[Path], object]] = {
        "findings.csv": partial(write_csv, found.verdicts)
    }
    for name in _RESULTS:
        result = getattr(found, name).assign_attrs(run.attrs)
        files[f"{name}.nc"] = partial(write_netcdf, result)
    for number, (name, figure) in enumerate(cv.plot.findings(found).items(), 1):
        files |= picture_files(f"finding-{number}-{name}", figure)
    return files
