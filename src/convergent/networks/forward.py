"""The forward pass: stimuli are shown in batches, and outputs of layers are caught as they come."""

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

from ..base.devices import memory_cached
from ..base.errors import InputError, examples
from ..base.progress import track
from ..data.stimuli import Stimuli
from .network import Network
from .pooling import Treatment

__all__ = [
    "Rows",
    "buffer_for",
    "home_device",
    "inputs_fingerprint",
    "layout_of",
    "preprocessed_batches",
    "show_in_batches",
]


def inputs_fingerprint(network: Network, stimuli: Stimuli, batch_size: int = 32) -> str:
    """SHA-256 of all that a network would be shown, without showing it.

    Parameters
    ----------
    network : Network
        Its preprocessing counts.
    stimuli : Stimuli
        What would be shown.
    batch_size : int
        Stimuli prepared at once; the result does not depend on it.

    Returns
    -------
    str
        ``inputs_sha256`` in the attributes of what `extract` gives.
    """
    *_, (_, ends) = preprocessed_batches(network, stimuli, batch_size, len(stimuli))
    return ends[-1]


@dataclass(frozen=True)
class Rows:
    """A row of chunks of some layers; values hold until the next one is asked for."""

    index: int
    stimuli: slice
    inputs_sha256: str  # of all inputs up to the last of these
    values: dict[str, NDArray[np.float32]]
    shapes: dict[str, tuple[int, ...]]  # of what is kept of a layer for one stimulus


def show_in_batches(
    network: Network,
    stimuli: Stimuli,
    finished: Mapping[str, int],
    height: int,
    *,
    treat: Treatment,
    batch_size: int,
    place: torch.device,
    progress: bool | None,
) -> Generator[Rows, None, None]:
    """Show all stimuli; give values of the layers ``height`` stimuli at a time.

    Of each layer the first rows can be finished already. A batch is shown only if one of its
    stimuli is missing somewhere, but all are prepared, for the hash.
    """
    buffers: dict[str, NDArray[np.float32]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    n, first, filled = len(stimuli), 0, 0  # first stimulus in the buffers, and how many are there

    def put(layer: str, output: torch.Tensor) -> None:
        values = treat(output, layer)
        if layer not in buffers:  # a row of chunks, and what a batch has left when it is full
            size = min(height + batch_size, n)
            buffers[layer] = np.empty((size, *values.shape[1:]), dtype=np.float32)
        shapes[layer] = tuple(values.shape[1:])
        torch.from_numpy(buffers[layer][filled : filled + len(values)]).copy_(values)

    home = home_device(network)
    batches = preprocessed_batches(network, stimuli, batch_size, height)
    what = f"showing {network.name} {n} stimuli"
    try:
        network.module.to(place)
        watched = _watched(network.module, list(finished), put)
        with _channels_last(network.module), memory_cached(), watched as look:
            for batch, ends in track(batches, what, -(-n // batch_size), progress):
                stop = first + filled + len(batch)
                missing = {layer for layer, rows in finished.items() if rows * height < stop}
                if missing:
                    look(batch.to(place), missing)
                filled += len(batch)
                for inputs_sha256 in ends:
                    size, index = min(height, n - first), first // height
                    full = {
                        layer: buffers[layer][:size].reshape(size, -1)
                        for layer, rows in finished.items()
                        if rows <= index
                    }
                    yield Rows(index, slice(first, first + size), inputs_sha256, full, shapes)
                    first, filled = first + size, filled - size
                    for values in buffers.values():
                        values[:filled] = values[size : size + filled]
    finally:
        network.module.to(home)


@contextmanager
def _channels_last(module: torch.nn.Module) -> Iterator[None]:
    """Weights of convolutions in the layout that is faster for them."""
    held = {weight: weight.data for weight in module.parameters() if weight.ndim == 4}
    try:
        for weight, data in held.items():
            weight.data = data.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        for weight, data in held.items():
            weight.data = data


def home_device(network: Network) -> torch.device:
    """The device that holds the network's weights."""
    return next(network.module.parameters(), torch.empty(0)).device


@contextmanager
def _watched(
    module: torch.nn.Module, layers: Sequence[str], put: Callable[[str, torch.Tensor], None]
) -> Iterator[Callable[[torch.Tensor, set[str]], None]]:
    """A function that shows a batch and puts outputs of layers away; undone on the way out.

    Outputs are put away as they come, since a later module may work in place.
    """
    missing: set[str] = set()
    shown = 0

    def keep(layer: str, part: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if layer not in missing:
            return
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
        if len(output) != shown:
            raise InputError(
                f"layer {layer!r} gives {tuple(output.shape)} for {shown} stimuli: "
                "its first axis is not the stimuli. Name a module around it."
            )
        put(layer, output)
        missing.discard(layer)
        if not missing:
            raise _AllSeen

    def look(batch: torch.Tensor, wanted: set[str]) -> None:
        nonlocal shown
        missing.update(wanted)
        shown = len(batch)
        try:
            with torch.inference_mode():
                module(batch)
        except _AllSeen:
            return
        raise InputError(
            f"layers {examples(sorted(missing))} did not run when the network was shown a "
            "stimulus: name modules that its forward pass calls."
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


def preprocessed_batches(
    network: Network, stimuli: Stimuli, size: int, height: int
) -> Iterator[tuple[torch.Tensor, list[str]]]:
    """Preprocessed batches; the next is prepared while the network looks at one.

    With each come the SHA-256 of all inputs up to each row of ``height`` stimuli that ends in it.
    A batch holds until the next but one is asked for: fresh memory would cost more than the copy.
    """
    n, shown = len(stimuli), hashlib.sha256()
    rooms: list[torch.Tensor] = []

    def prepare(start: int) -> tuple[torch.Tensor, list[str]]:
        names, ends = stimuli.names[start : start + size], []
        for place, name in enumerate(names):
            image = network.preprocess(stimuli[name])
            if not rooms:
                rooms.extend(buffer_for(min(size, n), image) for _ in range(2))
            batch = rooms[start // size % 2]
            if image.shape != batch.shape[1:] or image.dtype != batch.dtype:
                raise InputError(
                    f"stimulus {name!r} is {layout_of(image)} when preprocessed, and others are "
                    f"{layout_of(batch[0])}: preprocess all to one size."
                )
            # by numpy, as torch would share a single copy out among threads that the network needs
            np.copyto(batch[place].numpy(), image.numpy())
            shown.update(np.ascontiguousarray(image.numpy()).data)
            end = start + place + 1
            if end % height == 0 or end == n:
                ends.append(shown.hexdigest())
        return batch[: len(names)], ends

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(prepare, 0)
        for start in range(size, n + size, size):
            batch = upcoming.result()
            if start < n:
                upcoming = pool.submit(prepare, start)
            yield batch


def buffer_for(size: int, image: torch.Tensor) -> torch.Tensor:
    """Room for some preprocessed images, in the layout that is faster for convolutions."""
    layout = torch.channels_last if image.ndim == 3 else torch.contiguous_format
    return torch.empty((size, *image.shape), dtype=image.dtype, memory_format=layout)


def layout_of(image: torch.Tensor) -> str:
    """Type and shape of a preprocessed image, in words."""
    return f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"
