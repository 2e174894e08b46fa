"""Cases that several tests share."""

import os
from contextlib import contextmanager

import numpy as np
import torch

import convergent as cv

DIMS = ("stimulus", "unit", "repeat")


@contextmanager
def nobody():
    """Act as a user without rights, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


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


def damaged(content, flips, cuts=4, seed=0):
    """Copies of a file with one flipped bit or a lost end; a third of the flips are at each end."""
    rng = np.random.default_rng(seed)
    n, ends = len(content), min(300, len(content))
    for i in range(flips):
        at = [rng.integers(n), rng.integers(ends), n - 1 - rng.integers(ends)][i % 3]
        copy = bytearray(content)
        copy[at] ^= 1 << int(rng.integers(8))
        yield f"bit in byte {at}", bytes(copy)
    for length in np.unique(np.linspace(0, n - 1, cuts).astype(int)):
        yield f"cut to {length} bytes", content[:length]


def outcomes(path, content, read, same, *, flips, cuts=4, seed=0):
    """What reading damaged copies of a file leads to: counts, and what should not have happened."""
    found, wrong = {"harmless": 0, "noticed": 0}, []
    for what, copy in damaged(content, flips, cuts, seed):
        path.write_bytes(copy)
        try:
            sound = same(read(path))
        except cv.InputError as error:
            sound = path.name in str(error)
            found["noticed"] += sound
        except Exception as error:
            sound, what = False, f"{what}: {type(error).__name__} {error}"
        else:
            found["harmless"] += sound
        if not sound:
            wrong.append(what)
    path.write_bytes(content)
    return found, wrong
