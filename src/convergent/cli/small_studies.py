"""Networks that are trained here: ``train``, and ``findings``, the study of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from .. import plot
from ..base.errors import InputError
from ..experiments.kapoor2025.plan import FULL, REDUCED
from ..experiments.kapoor2025.study import findings as find
from ..networks.small import SMALL
from ..networks.training import BATCH_SIZE, N_HELD_OUT, N_IMAGES
from ..networks.training import train as train_network
from .console import make_folder, note, print_rows, print_table, write_all
from .options import AsJson, Device, app, parts_of

__all__ = ["findings", "train"]


@app.command()
def train(
    network: Annotated[str, typer.Argument(help=f"{' or '.join(SMALL)}.")],
    out: Annotated[
        Path, typer.Option(help="Folder; each training gets one in it, NETWORK-SEED.")
    ] = Path("trained"),
    seeds: Annotated[
        str, typer.Option(help="Initial weights and orders of the images, with commas.")
    ] = "0",
    epochs: Annotated[int, typer.Option(help="How often each image is shown.")] = 12,
    images: Annotated[int, typer.Option(help="Drawings that are learned from.")] = N_IMAGES,
    held_out: Annotated[
        int, typer.Option(help="Drawings that accuracy is measured on.")
    ] = N_HELD_OUT,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = BATCH_SIZE,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Train a small network on drawings, keeping weights from along the way; again, it goes on."""
    chosen = [int(part) if part.isdecimal() else part for part in parts_of(seeds)]
    strange = [seed for seed in chosen if isinstance(seed, str)]
    if strange or not chosen:
        raise InputError(f"--seeds {seeds!r}: give whole numbers from 0 up, with commas: 0,1,2,3.")
    rows: list[Any] = []
    for seed in chosen:
        folder = out / f"{network}-{seed}"
        log = train_network(
            network,
            folder,
            seed=int(seed),
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
        print_table(f"{network}, trained", pd.DataFrame(rows))


@app.command()
def findings(
    out: Annotated[
        Path, typer.Option(help="Folder for trainings, tables and pictures; again, it goes on.")
    ] = Path("findings"),
    reduced: Annotated[
        bool, typer.Option("--reduced", help="Two networks, a minute or two: to see that it runs.")
    ] = False,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Train small networks, and put the findings of the paper to the test on them.

    Four seeds of two architectures; all layers, checkpoints and distortions.
    """
    make_folder(out)
    found = find(out, REDUCED if reduced else FULL, device=device)
    figures = plot.findings(found)
    results = {"hierarchy": found.hierarchy, "trajectory": found.trajectory, "shift": found.shift}
    writers: dict[str, Callable[[Path], object]] = {
        "findings.csv": lambda file: found.verdicts.to_csv(file, index=False)
    }
    for name, result in results.items():
        writers[f"{name}.nc"] = partial(result.to_netcdf, engine="h5netcdf")
    for number, (name, figure) in enumerate(figures.items(), 1):
        writers[f"finding-{number}-{name}.png"] = partial(figure.savefig, dpi=150)
        writers[f"finding-{number}-{name}.svg"] = figure.savefig
    names = write_all(out, writers)
    if as_json:
        print_rows(found.verdicts.to_dict("records"))
    else:
        print_table("findings of arXiv 2502.18710, here", found.verdicts)
    note(f"written to {out}: {', '.join(names)}")
