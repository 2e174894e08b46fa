"""Long work that faults disturb: each returns the digest of what it keeps in a folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import xarray as xr
from outcomes import digest
from PIL import Image

import convergent as cv
from convergent import cli

N_STIMULI = 24
NAMES = [f"image{i:02d}.png" for i in range(N_STIMULI)]
EARLY, LATE = "0", "2"


def network(seed: int = 0) -> cv.Network:
    """Two small convolutions."""
    torch.manual_seed(seed)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3)
    )
    return cv.Network("tiny", module, pixels)


def pixels(image: Image.Image) -> torch.Tensor:
    """Pixels (channel, row, column) from 0 to 1."""
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)


def images(n: int = N_STIMULI, size: int = 6) -> cv.Stimuli:
    """Noise."""
    values = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return cv.Stimuli.from_arrays(values, [f"image{i:02d}.png" for i in range(n)])


def recording(units: int = 5, seed: int = 1) -> cv.Assembly:
    """A few units of two regions, with repeats."""
    rng = np.random.default_rng(seed)
    signal = np.random.default_rng(9).standard_normal((N_STIMULI, 3)) @ rng.standard_normal(
        (3, units)
    )
    values = signal[..., None] + 0.5 * rng.standard_normal((N_STIMULI, units, 3))
    return cv.Assembly.from_array(
        values.astype(np.float32),
        dims=("stimulus", "unit", "repeat"),
        stimuli=NAMES,
        name="recorded",
        attrs={"laboratory": "ours"},
        region=("unit", (["V1", "V4"] * units)[:units]),
    )


def score(folder: Path) -> str:
    """Scores of two sources, with a study."""
    sources = {"a": recording(6, 2).average(), "b": recording(4, 3).average()}
    found = cv.score(
        sources,
        recording(),
        ["linear", "procrustes"],
        folds=cv.Folds(3),
        study=folder / "study",
        progress=False,
    )
    return digest(found)


def extract_to_store(folder: Path) -> str:
    """Activations in a store, in two rows of chunks."""
    shown = images(60)
    found = cv.extract(network(), shown, [EARLY, LATE], store=folder / "store", progress=False)
    return digest(found)


def extract_in_study(folder: Path) -> str:
    """Activations in a study."""
    found = cv.extract(network(), images(), [EARLY, LATE], study=folder / "study", progress=False)
    return digest(found)


def command(folder: Path) -> str:
    """``convergent score --out``: scores, table, pictures and page."""
    lab = folder.parent / f"{folder.name}-inputs"
    if not lab.exists():
        _write_inputs(lab)
    run_command(
        "score",
        "--network=works:network",
        f"--data={lab / 'recording.nc'}",
        f"--stimuli={lab / 'images'}",
        "--metrics=linear",
        "--folds=3",
        f"--out={folder / 'out'}",
    )
    out = folder / "out"
    with xr.open_dataset(out / "scores.nc", engine="h5netcdf") as file:
        found = file.load()
    found.attrs.pop("command")  # has the paths of this folder
    return digest([found, (out / "summary.csv").read_bytes()])


def _write_inputs(lab: Path) -> None:
    """A recording and its images; two processes may do this at once."""
    part = lab.with_name(f"{lab.name}-{os.getpid()}")
    shown = images()
    (part / "images").mkdir(parents=True)
    for name in shown.names:
        shown[name].save(part / "images" / name)
    recording().save(part / "recording.nc")
    try:
        part.rename(lab)
    except OSError:  # the other was faster
        shutil.rmtree(part)


def run_command(*words: str) -> None:
    """A command, as ``convergent`` runs it; it returns where the command succeeds."""
    sys.argv = ["convergent", *words]
    # a forecast times linear algebra for seconds, and decides nothing
    with mock.patch.object(cv, "forecast", return_value="soon"):
        try:
            cli.main()
        except SystemExit as stop:
            if stop.code:
                raise


def train(folder: Path) -> str:
    """A training of few steps: its log, and all weights."""
    run = folder / "trained"
    options = {"epochs": 2, "images": 48, "held_out": 16, "batch_size": 16, "early": 2}
    log = cv.train("small-plain", run, **options, progress=False)
    weights = [
        dict(cv.network("small-plain", checkpoint=file).module.state_dict())
        for file in cv.checkpoints(run).values()
    ]
    return digest([log, weights])


def experiment(folder: Path) -> str:
    """Layers of two networks, level by level, with a study."""
    layers = {name: recording(5, seed).average() for name, seed in (("one", 2), ("two", 3))}
    found = cv.hierarchy(
        layers,
        layers,
        metrics=["linear"],
        bootstrap=None,
        folds=cv.Folds(3),
        study=folder / "study",
        progress=False,
    )
    return digest(found)


WORKS: dict[str, Callable[[Path], str]] = {
    "score": score,
    "score --out": command,
    "extract, store": extract_to_store,
    "extract, study": extract_in_study,
    "train": train,
    "hierarchy": experiment,
}
