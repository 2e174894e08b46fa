"""Activations: what the layers of a network do when it is shown stimuli."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .assembly import Assembly
from .devices import torch_device
from .errors import InputError, examples, unknown
from .networks import Network
from .progress import track
from .stimuli import Stimuli

__all__ = ["SPATIAL", "extract"]


def extract(
    network: Network,
    stimuli: Stimuli,
    layers: Sequence[str] | None = None,
    *,
    spatial: str = "mean",
    batch_size: int = 32,
    device: str | None = None,
    progress: bool | None = None,
) -> dict[str, Assembly]:
    """Show stimuli to a network and keep the activations of some layers.

    Parameters
    ----------
    network : Network
        In whatever state; it is left as it was. Shown the stimuli in evaluation mode.
    stimuli : Stimuli
        What to show.
    layers : sequence of str, optional
        Names of any modules; the network's defaults where left out. The network runs no further
        than the last of them. A module that runs several times gives its first output.
    spatial : {"mean", "max", "center", "flatten"}
        What becomes of the positions of a layer (height x width, or tokens): their mean, their
        maximum, the middle one, or each a unit of its own.
    batch_size : int
        Stimuli shown at once.
    device : str, optional
        Where to run (``"cuda"``); where left out, where the network is.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    dict of str to Assembly
        One a layer, float32 (stimulus, unit), with coordinates ``layer``, ``channel`` and, where
        positions are kept, ``row`` and ``column`` (or ``token``) along ``unit``.

    Raises
    ------
    InputError
        Where a layer is not known or never runs, or its output is no array of activations.
    """
    wanted = network.default_layers if layers is None else layers
    layers = list(dict.fromkeys([wanted] if isinstance(wanted, str) else wanted))
    _check_layers(network, layers)
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: show at least one stimulus at once.")
    if not isinstance(spatial, str) or spatial not in SPATIAL:
        raise unknown("way to treat positions", spatial, SPATIAL)
    parameter = next(network.module.parameters(), torch.empty(0))
    home = parameter.device
    place = torch_device(device) if device else home
    kept: dict[str, NDArray[np.float32]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    shown = hashlib.sha256()
    batches = _batches(network, stimuli, batch_size)
    count = -(-len(stimuli) // batch_size)
    try:
        network.module.to(place)
        with _watched(network.module, layers) as look, torch.inference_mode():
            start = 0
            for batch in track(
                batches, f"showing {network.name} {len(stimuli)} stimuli", count, progress
            ):
                shown.update(batch.numpy().data)
                inputs = batch.to(place)
                if inputs.ndim == 4:  # the faster layout for convolutions; it changes no weight
                    inputs = inputs.contiguous(memory_format=torch.channels_last)
                for layer, output in look(inputs).items():
                    shapes[layer] = tuple(output.shape[1:])
                    reduced = SPATIAL[spatial](output, layer).flatten(1).float().cpu().numpy()
                    if layer not in kept:
                        kept[layer] = np.empty((len(stimuli), reduced.shape[1]), dtype=np.float32)
                    kept[layer][start : start + len(batch)] = reduced
                start += len(batch)
    finally:
        network.module.to(home)
    about = {
        **network.about,
        "spatial": spatial,
        "weights_sha256": network.weights_sha256(),
        "inputs_sha256": shown.hexdigest(),
    }
    return {
        layer: _assembly(layer, kept.pop(layer), shapes[layer], spatial, stimuli.names, about)
        for layer in layers
    }


@contextmanager
def _watched(
    module: torch.nn.Module, layers: Sequence[str]
) -> Iterator[Callable[[torch.Tensor], dict[str, torch.Tensor]]]:
    """A function that shows a batch and returns the layers' outputs; undone on the way out."""
    seen: dict[str, torch.Tensor] = {}

    def keep(layer: str, part: torch.nn.Module, _inputs: Any, output: Any) -> None:
        while isinstance(output, (tuple, list)) and output:
            output = output[0]
        if not isinstance(output, torch.Tensor) or not 2 <= output.ndim <= 4:
            raise InputError(
                f"layer {layer!r} gives {getattr(output, 'shape', type(output).__name__)}, not "
                "activations of (stimulus, channel), (stimulus, token, channel) or (stimulus, "
                "channel, height, width): name a module inside it."
            )
        if output.ndim == 4 and type(part) in (torch.nn.LayerNorm, torch.nn.Linear):
            output = output.movedim(-1, 1)  # these work on the last axis: it is the channels
        if layer not in seen:
            seen[layer] = output.clone()  # as a later module may work in place
        if len(seen) == len(layers):
            raise _AllSeen

    def look(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.clear()
        try:
            module(batch)
        except _AllSeen:
            for layer, output in seen.items():
                if len(output) != len(batch):
                    raise InputError(
                        f"layer {layer!r} gives {tuple(output.shape)} for {len(batch)} stimuli: "
                        "its first axis is not the stimuli. Name a module around it."
                    ) from None
            return dict(seen)
        missing = [layer for layer in layers if layer not in seen]
        raise InputError(
            f"layers {examples(missing)} did not run when the network was shown a stimulus: name "
            "modules that its forward pass calls."
        )

    training = {part: part.training for part in module.modules()}
    handles = []
    try:
        module.eval()
        for layer in layers:
            hook = partial(keep, layer)
            handles.append(module.get_submodule(layer).register_forward_hook(hook))
        yield look
    finally:
        for handle in handles:
            handle.remove()
        for part, flag in training.items():
            part.training = flag


class _AllSeen(BaseException):
    """Ends a forward pass once every asked layer has run; no error, so no model catches it."""


def _batches(network: Network, stimuli: Stimuli, size: int) -> Iterator[torch.Tensor]:
    """Preprocessed batches; the next is prepared while the network looks at one."""

    def prepare(start: int) -> torch.Tensor:
        names = stimuli.names[start : start + size]
        return torch.stack([network.preprocess(stimuli[name]) for name in names]).contiguous()

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(prepare, 0)
        for start in range(size, len(stimuli) + size, size):
            batch = upcoming.result()
            if start < len(stimuli):
                upcoming = pool.submit(prepare, start)
            yield batch


def _center(output: torch.Tensor, layer: str) -> torch.Tensor:
    if output.ndim == 2:
        return output
    if output.ndim == 3:
        raise InputError(
            f"layer {layer!r} has tokens, which have no centre: use spatial='mean', 'max' or "
            "'flatten'."
        )
    return output[:, :, output.shape[2] // 2, output.shape[3] // 2]


def _pooled(
    pool: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor], output: torch.Tensor, _layer: str
) -> torch.Tensor:
    dims: dict[int, tuple[int, ...]] = {2: (), 3: (1,), 4: (2, 3)}
    return pool(output, dims[output.ndim]) if output.ndim > 2 else output


SPATIAL: dict[str, Callable[[torch.Tensor, str], torch.Tensor]] = {
    "flatten": lambda output, _layer: output,
    "mean": partial(_pooled, torch.mean),
    "max": partial(_pooled, torch.amax),
    "center": _center,
}


def _assembly(
    layer: str,
    values: NDArray[np.float32],
    shape: tuple[int, ...],
    spatial: str,
    names: Sequence[str],
    about: Mapping[str, Any],
) -> Assembly:
    """Label the activations of one layer."""
    axes = {1: ("channel",), 2: ("token", "channel"), 3: ("channel", "row", "column")}[len(shape)]
    if spatial != "flatten" and len(axes) > 1:
        shape, axes = (shape[axes.index("channel")],), ("channel",)
    places = np.unravel_index(np.arange(values.shape[1]), shape)
    written = [
        np.char.mod(f"%0{len(str(size - 1))}d", place)
        for size, place in zip(shape, places, strict=True)
    ]
    units = written[0]
    for part in written[1:]:
        units = np.char.add(np.char.add(units, "."), part)
    labels: dict[str, Any] = {"layer": layer}
    for axis, place in zip(axes, places, strict=True):
        labels[axis] = ("unit", place.astype(np.int32))
    return Assembly.from_array(
        values,
        stimuli=names,
        units=np.char.add(f"{layer}/", units),
        name=layer,
        attrs=about,
        **labels,
    )


def _check_layers(network: Network, layers: Sequence[str]) -> None:
    known = set(network.layers)
    for layer in layers:
        if layer not in known:
            raise unknown(f"layer of {network.name}", layer, network.layers)
    if not layers:
        raise InputError(f"no layer of {network.name} is asked for: name at least one.")
