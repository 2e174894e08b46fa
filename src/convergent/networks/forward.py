"""The forward pass: a network runs on stimuli in batches, and outputs of layers are recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..base.allocator import keep_freed_memory
from ..base.errors import InputError, examples
from ..base.progress import track
from ..data.stimuli import Stimuli
from .network import Network
from .pooling import Treatment

__all__ = ["Rows", "extract_rows", "home_device", "inputs_fingerprint", "layout_of"]


def inputs_fingerprint(network: Network, stimuli: Stimuli, batch_size: int = 32) -> str:
    """SHA-256 of all inputs of a network; the network does not run.

    Parameters
    ----------
    network : Network
        Its preprocessing decides the inputs.
    stimuli : Stimuli
        The images.
    batch_size : int
        Number of images prepared at a time; the result does not depend on it.

    Returns
    -------
    str
        The same as ``inputs_sha256`` in the attributes of what `extract` returns.
    """
    *_, (_, ends) = _preprocessed_batches(network, stimuli, batch_size, len(stimuli))
    return ends[-1]


@dataclass(frozen=True)
class Rows:
    """Activations for one row of chunks; the arrays are valid until the next row is requested.

    Attributes
    ----------
    index : int
        Number of the row of chunks, from 0.
    stimuli : slice
        Positions of its stimuli.
    inputs_sha256 : str
        SHA-256 of all preprocessed inputs up to the last of these stimuli.
    values : dict of float32 arrays (stimulus, unit)
        By layer, for the layers in which this row was missing.
    shapes : dict of tuple of int
        By layer: shape of the activations of one stimulus.
    """

    index: int
    stimuli: slice
    inputs_sha256: str
    values: dict[str, NDArray[np.float32]]
    shapes: dict[str, tuple[int, ...]]


class _Buffers:
    """Activations that wait until a row of chunks is complete.

    Parameters
    ----------
    size : int
        Stimuli for which there is room: a row of chunks, and what a batch adds beyond it.
    """

    def __init__(self, size: int) -> None:
        self.size, self.filled = size, 0
        self.values: dict[str, NDArray[np.float32]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def put(self, layer: str, values: torch.Tensor) -> None:
        """Store activations of a batch behind those of earlier batches."""
        shape = tuple(values.shape[1:])
        if layer not in self.values:
            self.values[layer] = np.empty((self.size, *shape), dtype=np.float32)
        self.shapes[layer] = shape
        free = self.values[layer][self.filled : self.filled + len(values)]
        torch.from_numpy(free).copy_(values)

    def first(self, size: int, layers: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Activations (stimulus, unit) of the first stimuli."""
        return {layer: self.values[layer][:size].reshape(size, -1) for layer in layers}

    def drop(self, size: int) -> None:
        """Remove the first stimuli, and move the others to the front."""
        self.filled -= size
        for values in self.values.values():
            values[: self.filled] = values[size : size + self.filled]


def extract_rows(
    network: Network,
    stimuli: Stimuli,
    finished: Mapping[str, int],
    height: int,
    *,
    treat: Treatment,
    batch_size: int,
    device: torch.device,
    progress: bool | None,
) -> Generator[Rows, None, None]:
    """Run a network on all stimuli, and yield activations ``height`` stimuli at a time.

    The network runs on a batch only if one of its stimuli is missing in some layer, but all
    stimuli are preprocessed, for the hash.

    Parameters
    ----------
    network : Network
        It is left as it was.
    stimuli : Stimuli
        The images.
    finished : mapping of str to int
        The layers, with the number of rows that are finished already, the first ones of each.
    height : int
        Stimuli in a row of chunks.
    treat : function
        What becomes of the positions of a layer.
    batch_size : int
        Stimuli in one forward pass.
    device : torch.device
        Where the network runs.
    progress : bool, optional
        Whether to display a progress bar.

    Yields
    ------
    Rows
        One row of chunks after the other.
    """
    n, start = len(stimuli), 0  # start: the first stimulus in the buffers
    buffers = _Buffers(min(height + batch_size, n))

    def put(layer: str, output: torch.Tensor) -> None:
        buffers.put(layer, treat(output, layer))

    home = home_device(network)
    batches = _preprocessed_batches(network, stimuli, batch_size, height)
    what = f"extracting {n} stimuli with {network.name}"
    try:
        network.module.to(device)
        recording = _recording(network.module, list(finished), put)
        with _channels_last(network.module), keep_freed_memory(), recording as run:
            for batch, ends in track(batches, what, -(-n // batch_size), progress):
                stop = start + buffers.filled + len(batch)
                missing = {layer for layer, rows in finished.items() if rows * height < stop}
                if missing:
                    run(batch.to(device), missing)
                buffers.filled += len(batch)
                for inputs_sha256 in ends:
                    index, size = start // height, min(height, n - start)
                    new = [layer for layer, rows in finished.items() if rows <= index]
                    values, part = buffers.first(size, new), slice(start, start + size)
                    yield Rows(index, part, inputs_sha256, values, buffers.shapes)
                    start += size
                    buffers.drop(size)
    finally:
        network.module.to(home)


def home_device(network: Network) -> torch.device:
    """The device that holds the network's weights."""
    return next(network.module.parameters(), torch.empty(0)).device


@contextmanager
def _channels_last(module: torch.nn.Module) -> Iterator[None]:
    """Store weights of convolutions in the layout that is faster for them."""
    original = {weight: weight.data for weight in module.parameters() if weight.ndim == 4}
    try:
        for weight, data in original.items():
            weight.data = data.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        for weight, data in original.items():
            weight.data = data


@contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Put all parts of a module into evaluation mode, and afterwards back into their own."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextmanager
def _recording(
    module: torch.nn.Module, layers: Sequence[str], put: Callable[[str, torch.Tensor], None]
) -> Iterator[Callable[[torch.Tensor, set[str]], None]]:
    """Yield a function that runs a batch and records outputs of layers; no hook stays behind.

    Outputs are passed on at once, since a later module may change them in place.
    """
    missing: set[str] = set()
    n = 0  # stimuli in the batch

    def record(layer: str, part: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if layer in missing:
            put(layer, _activations(layer, part, output, n))
            missing.discard(layer)
            if not missing:
                raise _AllRecorded

    def run(batch: torch.Tensor, wanted: set[str]) -> None:
        nonlocal n
        missing.update(wanted)
        n = len(batch)
        try:
            with torch.inference_mode():
                module(batch)
        except _AllRecorded:
            return
        raise InputError(
            f"layers {examples(sorted(missing))} did not run in the forward pass of a stimulus: "
            "name modules that the network's forward pass calls."
        )

    handles = []
    with _evaluation_mode(module):
        try:
            for layer in layers:
                hook = partial(record, layer)
                handles.append(module.get_submodule(layer).register_forward_hook(hook))
            yield run
        finally:
            for handle in handles:
                handle.remove()


def _activations(layer: str, part: torch.nn.Module, output: Any, n: int) -> torch.Tensor:
    """Output of a layer as activations of ``n`` stimuli, (stimulus, ...)."""
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor) or not 2 <= output.ndim <= 4:
        raise InputError(
            f"layer {layer!r} gives {getattr(output, 'shape', type(output).__name__)}, not "
            "activations of (stimulus, channel), (stimulus, token, channel) or (stimulus, "
            "channel, height, width): name a module inside it."
        )
    if output.ndim == 4 and type(part) in (torch.nn.LayerNorm, torch.nn.Linear):
        output = output.movedim(-1, 1)  # the last axis, on which these work, is the channels
    if len(output) != n:
        raise InputError(
            f"layer {layer!r} gives {tuple(output.shape)} for {n} stimuli: "
            "its first axis is not the stimuli. Name a module around it."
        )
    activations: torch.Tensor = output
    return activations


class _AllRecorded(BaseException):
    """Ends a forward pass once all requested layers have run.

    It is no Exception, so that no model catches it.
    """


def _preprocessed_batches(
    network: Network, stimuli: Stimuli, size: int, height: int
) -> Iterator[tuple[torch.Tensor, list[str]]]:
    """Preprocessed batches; the next one is prepared while the network runs on the present one.

    With each batch comes a list: for each row of ``height`` stimuli that ends in the batch, the
    SHA-256 of all inputs up to the end of that row. Two buffers take turns, as newly allocated
    memory would cost more than the copy: a batch is valid until the next but one is requested.
    """
    n, digest = len(stimuli), hashlib.sha256()
    buffers: list[torch.Tensor] = []

    def prepare(start: int) -> tuple[torch.Tensor, list[str]]:
        names, ends = stimuli.names[start : start + size], []
        for i, name in enumerate(names):
            image = network.preprocess(stimuli[name])
            if not buffers:
                buffers.extend(_buffer_for(min(size, n), image) for _ in range(2))
            batch = buffers[start // size % 2]
            _check_layout(name, image, batch[0])
            # with numpy: torch would split this one copy among threads that the network needs
            np.copyto(batch[i].numpy(), image.numpy())
            digest.update(np.ascontiguousarray(image.numpy()).data)
            end = start + i + 1
            if end % height == 0 or end == n:
                ends.append(digest.hexdigest())
        return batch[: len(names)], ends

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(prepare, 0)
        for start in range(size, n + size, size):
            batch = upcoming.result()
            if start < n:
                upcoming = pool.submit(prepare, start)
            yield batch


def _buffer_for(size: int, image: torch.Tensor) -> torch.Tensor:
    """Uninitialised batch of preprocessed images, in the layout that is faster for convolutions."""
    layout = torch.channels_last if image.ndim == 3 else torch.contiguous_format
    return torch.empty((size, *image.shape), dtype=image.dtype, memory_format=layout)


def _check_layout(name: str, image: torch.Tensor, other: torch.Tensor) -> None:
    """Check that a preprocessed image has the type and shape of the others."""
    if image.shape != other.shape or image.dtype != other.dtype:
        raise InputError(
            f"stimulus {name!r} is {layout_of(image)} when preprocessed, and others are "
            f"{layout_of(other)}: preprocess all to one size."
        )


def layout_of(image: torch.Tensor) -> str:
    """Type and shape of a preprocessed image, for a message."""
    return f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"
