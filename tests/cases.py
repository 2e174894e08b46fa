"""Cases that several tests share."""

import numpy as np
import torch

import convergent as cv

DIMS = ("stimulus", "unit", "repeat")


def image_names(n):
    """Names of stimuli that sort in order."""
    return [f"image{i:05d}.png" for i in range(n)]


def labelled(values, name=None, **coords):
    """Assembly of values (stimulus, unit[, repeat])."""
    stimuli = coords.pop("stimuli", image_names(len(values)))
    dims = DIMS[: values.ndim]
    return cv.Assembly.from_array(values, stimuli=stimuli, dims=dims, name=name, **coords)


def recording(units, repeats=0, seed=0, noise=0.7, *, stimuli, **labels):
    """Random weights on a few signals that all recordings share; noisy if there are repeats."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal((len(stimuli), 4))
    values = shared @ rng.standard_normal((4, units))
    if repeats:
        values = values[..., None] + noise * rng.standard_normal((*values.shape, repeats))
    attrs = {"simulated": labels.pop("simulated", False)}
    return labelled(values, stimuli=stimuli, attrs=attrs, **labels)


def folded(x, y, train, test):
    """Two populations under one fold."""
    return cv.Population(x).fold(train, test), cv.Population(y).fold(train, test)


def to_tensor(image, offset=0.0):
    """Pixels (channel, row, column) from 0 to 1, less an offset."""
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1) / 255 - np.float32(offset)
    return torch.from_numpy(pixels)
