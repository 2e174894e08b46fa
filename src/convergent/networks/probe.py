"""A probe: whether a network still gives the outputs that a store holds of the first stimuli."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.layer_store import first_values, intact_rows, read_record
from ..data.stimuli import Stimuli
from .forward import extract_rows
from .network import Network
from .pooling import Treatment

__all__ = ["PROBES", "changed_layer"]

PROBES = 2  # stimuli that are shown, in one batch
# Differences relative to an output itself and to the root mean square of its layer. The number of
# threads, the batch size and the processor change float32 by about 1e-5; other devices and half
# precision round more coarsely
_TOLERANCE = 1e-3
_COARSE = 5e-2


def changed_layer(
    path: Path,
    content: Mapping[str, Any],
    network: Network,
    stimuli: Stimuli,
    layers: Sequence[str],
    treat: Treatment,
    device: torch.device,
    batch_size: int,
) -> str | None:
    """Show the first stimuli to a network, and compare its outputs with those in a store.

    This is the second line of defence, behind the hash of all that the network holds. Code that no
    hash sees, random draws and dependence on the batch are noticed by what they do.

    Parameters
    ----------
    path : Path
        The store; it need not exist.
    content : mapping
        What decides the activations. A store of any other content is not compared.
    network : Network
        It is left as it was.
    stimuli : Stimuli
        The images.
    layers : sequence of str
        Layers that are asked for. If the store holds none of them, its last one is compared.
    treat : function
        What becomes of the positions of a layer.
    device : torch.device
        Where the network runs.
    batch_size : int
        Number of stimuli that are shown if the network does not run with the first few alone.

    Returns
    -------
    str or None
        The first layer that gives other outputs; None if none does, or the store is empty.
    """
    record = read_record(path)
    if record is None or record.content != content:
        return None
    n = min(PROBES, record.height, len(stimuli))
    begun = [layer for layer, rows in record.layers.items() if rows]
    chosen = [layer for layer in layers if layer in begun] or begun[-1:]
    read = ((layer, first_values(path, record, layer, n)) for layer in chosen)
    kept = {layer: values for layer, values in read if values is not None}
    if not kept:
        return None
    run = partial(extract_rows, network, treat=treat, device=device, progress=False)

    def outputs(size: int) -> dict[str, NDArray[np.float32]]:
        first = stimuli.in_order(stimuli.names[:size])
        # random draws of an extraction are the same with a probe before it and without
        draws = torch.random.fork_rng([device] if device.type == "cuda" else [])
        with draws, closing(run(first, dict.fromkeys(kept, 0), n, batch_size=size)) as rows:
            return next(rows).values

    try:
        found = outputs(n)
    except Exception:  # some networks run with batches of one size only
        found = outputs(min(batch_size, len(stimuli)))
    tolerance = _tolerance(network, device)
    differ = [k for k in kept if not _alike(found[k], kept[k], tolerance)]
    intact = intact_rows(path, record) if differ else {}  # those of damage are extracted anew
    changed = next((k for k in differ if intact[k]), None)
    if changed is not None:
        with closing(run(stimuli, {}, record.height, batch_size=batch_size)) as rows:
            if next(rows).inputs_sha256 != record.inputs[0]:
                return None  # the images changed, which is reported elsewhere
    return changed


def _tolerance(network: Network, device: torch.device) -> float:
    halves = (torch.float16, torch.bfloat16)
    coarse = device.type != "cpu" or torch.is_autocast_enabled("cpu")
    coarse = coarse or any(weight.dtype in halves for weight in network.module.parameters())
    return _COARSE if coarse else _TOLERANCE


def _alike(values: NDArray[Any], kept: NDArray[Any], tolerance: float) -> bool:
    """Whether activations are equal up to rounding; ``kept`` can have the first units only."""
    values = values[:, : kept.shape[1]]
    if values.shape != kept.shape:
        return False
    finite = kept[np.isfinite(kept)].astype(float)
    size = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    return np.allclose(values, kept, rtol=tolerance, atol=tolerance * size, equal_nan=True)
