"""Activations: what the layers of a network do when it is shown stimuli."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import torch
from numpy.typing import NDArray

from .assembly import Assembly
from .devices import torch_device
from .errors import InputError, examples, unknown
from .kept_memory import memory_kept
from .layer_store import (
    StoreRecord,
    create_layer,
    finish_layer,
    layer_path,
    read_record,
    whole_layers,
    write_record,
    write_rows,
)
from .networks import Network
from .positions import as_extracted, grid_side
from .progress import track
from .stimuli import Stimuli
from .storage import check_attrs, chunk_sizes, read_array
from .study import Study, as_study

__all__ = ["SPATIAL", "check_layers", "extract", "inputs_fingerprint", "treatment"]

Treatment = Callable[[torch.Tensor, str], torch.Tensor]  # of a layer's output, with its name


def extract(
    network: Network,
    stimuli: Stimuli,
    layers: Sequence[str] | None = None,
    *,
    spatial: str = "mean",
    batch_size: int = 32,
    device: str | None = None,
    progress: bool | None = None,
    store: str | os.PathLike[str] | None = None,
    study: Study | str | os.PathLike[str] | None = None,
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
    spatial : {"mean", "max", "center", "flatten", "positions", "positions-N"}
        What becomes of the positions of a layer (height x width, or tokens): their mean, their
        maximum, the middle one, each a unit of its own, or (of convolutional layers) each a
        stimulus of its own, to which the channels respond. Of ``"positions-4"`` there are 4 x 4,
        each the mean of its part of a map, so that layers of any map size share them.
    batch_size : int
        Stimuli shown at once.
    device : str, optional
        Where to run (``"cuda"``); where left out, where the network is.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.
    store : path, optional
        A folder to write to as the stimuli are shown, for layers larger than memory. If it is
        there, and what it holds follows from the same weights, stimuli (pixel by pixel) and
        ``spatial``, only what is missing is extracted: an interrupted extraction continues, and
        further layers are added. One extraction at a time may write to a store.
    study : Study or path, optional
        In place of ``store``: a store within the study, found by the weights, structure and code of
        the network, the stimuli as they are after preprocessing, ``spatial`` and the device.

    Returns
    -------
    dict of str to Assembly
        One a layer, float32 (stimulus, unit), with coordinates ``layer``, ``channel`` and, where
        positions are kept, ``row`` and ``column`` (or ``token``) along ``unit``. Where positions
        are stimuli, named ``NAME@ROW.COLUMN/ROWSxCOLUMNS``, ``image``, ``row`` and ``column`` lie
        along ``stimulus``, and folds keep the positions of an image together. With a store, values
        stay on disk until they are needed (dask).

    Raises
    ------
    InputError
        Where a layer is not known or never runs, or its output is no array of activations, or has
        no positions where these are asked for; where the store holds activations of something
        else, which are left as they are.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS (positions as stimuli).
    """
    wanted = network.default_layers if layers is None else layers
    layers = list(dict.fromkeys([wanted] if isinstance(wanted, str) else wanted))
    check_layers(network, layers)
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}: show at least one stimulus at once.")
    treat = treatment(spatial)
    place = torch_device(device) if device else _home(network)
    run = partial(
        _run,
        network,
        stimuli,
        treat=treat,
        batch_size=batch_size,
        place=place,
        progress=progress,
    )
    about = {**network.about, "spatial": spatial, "weights_sha256": network.weights_sha256()}
    if study is not None:
        if store is not None:
            raise InputError("both store and study are given: a study has stores of its own.")
        store = _store_of(as_study(study), network, stimuli, spatial, device)
    if store is not None:
        content = _content(network, stimuli, about, place)
        return _extract_to(Path(store), content, stimuli, layers, about, run)
    with closing(run(dict.fromkeys(layers, 0), len(stimuli))) as rows:
        everything = next(rows)
    about["inputs_sha256"] = everything.inputs_sha256
    values, shapes = everything.values, everything.shapes
    return {
        layer: as_extracted(
            _assembly(layer, values.pop(layer), shapes[layer], stimuli.names, about)
        )
        for layer in layers
    }


def _store_of(
    study: Study, network: Network, stimuli: Stimuli, spatial: str, device: str | None
) -> Path:
    """The store of a study that holds these activations."""
    return study.layers(
        {
            "network": network.fingerprint(),
            "inputs": inputs_fingerprint(network, stimuli),
            "stimuli": list(stimuli.names),
            "spatial": spatial,
            "device": torch_device(device).type if device else "as it is",
        }
    )


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
    *_, (_, ends) = _batches(network, stimuli, batch_size, len(stimuli))
    return ends[-1]


@dataclass(frozen=True)
class _Rows:
    """A row of chunks of some layers; values hold until the next one is asked for."""

    index: int
    stimuli: slice
    inputs_sha256: str  # of all inputs up to the last of these
    values: dict[str, NDArray[np.float32]]
    shapes: dict[str, tuple[int, ...]]  # of what is kept of a layer for one stimulus


def _run(
    network: Network,
    stimuli: Stimuli,
    finished: Mapping[str, int],
    height: int,
    *,
    treat: Treatment,
    batch_size: int,
    place: torch.device,
    progress: bool | None,
) -> Generator[_Rows, None, None]:
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

    home = _home(network)
    batches = _batches(network, stimuli, batch_size, height)
    what = f"showing {network.name} {n} stimuli"
    try:
        network.module.to(place)
        watched = _watched(network.module, list(finished), put)
        with _channels_last(network.module), memory_kept(), watched as look:
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
                    yield _Rows(index, slice(first, first + size), inputs_sha256, full, shapes)
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


def _home(network: Network) -> torch.device:
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


def _batches(
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
                rooms.extend(_room(min(size, n), image) for _ in range(2))
            batch = rooms[start // size % 2]
            if image.shape != batch.shape[1:] or image.dtype != batch.dtype:
                raise InputError(
                    f"stimulus {name!r} is {_layout(image)} when preprocessed, and others are "
                    f"{_layout(batch[0])}: preprocess all to one size."
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


def _room(size: int, image: torch.Tensor) -> torch.Tensor:
    """Room for some preprocessed images, in the layout that is faster for convolutions."""
    layout = torch.channels_last if image.ndim == 3 else torch.contiguous_format
    return torch.empty((size, *image.shape), dtype=image.dtype, memory_format=layout)


def _layout(image: torch.Tensor) -> str:
    return f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"


def _extract_to(
    path: Path,
    content: dict[str, Any],
    stimuli: Stimuli,
    layers: Sequence[str],
    about: dict[str, Any],
    run: Callable[[Mapping[str, int], int], Generator[_Rows, None, None]],
) -> dict[str, Assembly]:
    """Extract what a store does not hold yet, and open it."""
    check_attrs(about)
    record = _continued(path, layers, content)
    finished = {layer: record.layers[layer] for layer in layers}
    known = len(record.inputs)
    if min(finished.values()) < known:  # rows will be added beside others: see all of these first
        with closing(run({}, record.height)) as rows:
            for row in islice(rows, known):
                _check_inputs(path, record, row, stimuli)
    with closing(run(finished, record.height)) as rows:
        for row in rows:
            _check_inputs(path, record, row, stimuli)
            about["inputs_sha256"] = row.inputs_sha256
            if row.values:
                record = _stored(path, record, row, stimuli.names, about)
    found = {layer: read_array(layer_path(path, record, layer)) for layer in layers}
    for data in found.values():
        data.attrs = dict(about)  # those of this call, whose notes can be other ones
    return {layer: as_extracted(Assembly(data)) for layer, data in found.items()}


def _content(
    network: Network, stimuli: Stimuli, about: Mapping[str, Any], place: torch.device
) -> dict[str, Any]:
    """What activations follow from, but for the pixels."""
    return {
        "weights": about["weights_sha256"],
        "architecture": network.architecture_sha256(),
        "device": place.type,  # another computes with another rounding
        "spatial": about["spatial"],
        "inputs": _layout(network.preprocess(stimuli[0])),
        "stimuli": list(stimuli.names),
    }


def _continued(path: Path, layers: Sequence[str], content: dict[str, Any]) -> StoreRecord:
    """How far a store got, with the layers asked for; an error if it holds something else."""
    record = read_record(path)
    if record is None:
        height, _ = chunk_sizes(len(content["stimuli"]), 1)
        return StoreRecord(content, height, (), dict.fromkeys(layers, 0))
    for key, what in CONTENT.items():
        found, wanted = record.content.get(key), content[key]
        if key == "stimuli" and found != wanted:
            other = sorted(set(found or ()) ^ set(wanted))
            found, wanted = f"{len(found or ())} stimuli", f"{len(wanted)}"
            wanted += f"; not in both are {examples(other)}"
        if found != wanted:
            raise _other(path, what, f"{found} in the store, asked for {wanted}")
    whole = whole_layers(path, record)  # these keep their places
    return replace(record, layers=whole | {layer: whole.get(layer, 0) for layer in layers})


CONTENT = {  # what a store can differ in, and how a message calls it
    "weights": "other weights",
    "architecture": "another architecture",
    "device": "another device",
    "spatial": "another treatment of positions (spatial)",
    "inputs": "another image size",
    "stimuli": "other stimuli",
}


def _other(path: Path, what: str, detail: str) -> InputError:
    return InputError(
        f"{path} holds activations of {what} ({detail}), and is left as it is: give another path "
        "as store, or remove it."
    )


def _check_inputs(path: Path, record: StoreRecord, row: _Rows, stimuli: Stimuli) -> None:
    """Stop before anything is written beside activations of other pixels."""
    if row.index < len(record.inputs) and record.inputs[row.index] != row.inputs_sha256:
        names = stimuli.names[row.stimuli]
        raise _other(
            path,
            "other pixels, or pixels that were preprocessed otherwise",
            f"in one or more of the stimuli from {names[0]!r} to {names[-1]!r}",
        )


def _stored(
    path: Path, record: StoreRecord, row: _Rows, names: Sequence[str], about: Mapping[str, Any]
) -> StoreRecord:
    """Write a row of chunks; only when all of it is on disk, the store says that it is there."""
    if row.index == 0:
        write_record(path, record)  # so that what is left by an interruption belongs to a store
    for layer, values in row.values.items():
        folder = layer_path(path, record, layer)
        if row.index == 0:
            room = dask.array.empty((len(names), values.shape[1]), dtype=values.dtype)
            shape = row.shapes[layer]
            create_layer(folder, _assembly(layer, room, shape, names, about).data)
        write_rows(folder, row.stimuli.start, values)
        if row.index == record.n_rows - 1:
            finish_layer(folder, layer, about)
    record = replace(
        record,
        inputs=(*record.inputs, row.inputs_sha256)[: max(len(record.inputs), row.index + 1)],
        layers={**record.layers, **dict.fromkeys(row.values, row.index + 1)},
    )
    write_record(path, record)
    return record


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


def _positions(output: torch.Tensor, layer: str, side: int | None = None) -> torch.Tensor:
    if output.ndim != 4:
        what = {2: "one response of each unit to an image", 3: "tokens, which have no rows"}
        raise InputError(
            f"layer {layer!r} has no positions to make stimuli of: it gives {what[output.ndim]}. "
            "Leave it out (layers=), or use spatial='mean' or 'flatten' for all layers."
        )
    if side is None:
        return output
    rows, columns = output.shape[2:]
    if side > min(rows, columns):  # some would be copies of others
        raise InputError(
            f"layer {layer!r} has maps of {rows} x {columns}, which cannot be averaged onto "
            f"{side} x {side} positions: use spatial='positions-{min(rows, columns)}' for all "
            "layers, or leave this one out (layers=)."
        )
    return torch.nn.functional.adaptive_avg_pool2d(output, side)


SPATIAL: dict[str, Treatment] = {
    "flatten": lambda output, _layer: output,
    "mean": partial(_pooled, torch.mean),
    "max": partial(_pooled, torch.amax),
    "center": _center,
    "positions": _positions,
}


def treatment(spatial: str) -> Treatment:
    """What becomes of the output (stimulus, ...) of a layer.

    Parameters
    ----------
    spatial : str
        A name of `SPATIAL`, or ``"positions-N"``.

    Raises
    ------
    InputError
        Where there is no such way.
    """
    if not isinstance(spatial, str):
        raise unknown("way to treat positions", spatial, SPATIAL)
    side = grid_side(spatial)
    if side is not None:
        return partial(_positions, side=side)
    if spatial.startswith("positions-"):
        raise InputError(
            f"spatial={spatial!r}: N of 'positions-N' is a whole number from 1 up, such as "
            "'positions-4'."
        )
    if spatial not in SPATIAL:
        raise unknown("way to treat positions", spatial, [*SPATIAL, "positions-4"])
    return SPATIAL[spatial]


def _assembly(
    layer: str,
    values: Any,
    shape: tuple[int, ...],
    names: Sequence[str],
    about: Mapping[str, Any],
) -> Assembly:
    """Label what is kept of one layer, numpy or dask (stimulus, unit)."""
    axes = {1: ("channel",), 2: ("token", "channel"), 3: ("channel", "row", "column")}[len(shape)]
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


def check_layers(network: Network, layers: Sequence[str]) -> None:
    """Make sure that there are such layers, before anything is shown."""
    known = set(network.layers)
    for layer in layers:
        if layer not in known:
            raise unknown(f"layer of {network.name}", layer, network.layers)
    if not layers:
        raise InputError(f"no layer of {network.name} is asked for: name at least one.")
