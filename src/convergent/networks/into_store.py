"""Activations written to a store as they come, and an interrupted extraction continued."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import torch

from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..data.layer_store import (
    StoreRecord,
    create_layer,
    finish_layer,
    layer_path,
    read_record,
    whole_layers,
    write_record,
    write_rows,
)
from ..data.positions import as_extracted
from ..data.stimuli import Stimuli
from ..data.storage import check_attrs, chunk_sizes, read_array
from .forward import Rows, layout_of
from .network import Network

__all__ = ["CONTENT", "content_of", "extract_to", "label_layer"]


def extract_to(
    path: Path,
    content: dict[str, Any],
    stimuli: Stimuli,
    layers: Sequence[str],
    about: dict[str, Any],
    run: Callable[[Mapping[str, int], int], Generator[Rows, None, None]],
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


def content_of(
    network: Network, stimuli: Stimuli, about: Mapping[str, Any], place: torch.device
) -> dict[str, Any]:
    """What activations follow from, but for the pixels."""
    return {
        "weights": about["weights_sha256"],
        "architecture": network.architecture_sha256(),
        "device": place.type,  # another computes with another rounding
        "spatial": about["spatial"],
        "inputs": layout_of(network.preprocess(stimuli[0])),
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


def _check_inputs(path: Path, record: StoreRecord, row: Rows, stimuli: Stimuli) -> None:
    """Stop before anything is written beside activations of other pixels."""
    if row.index < len(record.inputs) and record.inputs[row.index] != row.inputs_sha256:
        names = stimuli.names[row.stimuli]
        raise _other(
            path,
            "other pixels, or pixels that were preprocessed otherwise",
            f"in one or more of the stimuli from {names[0]!r} to {names[-1]!r}",
        )


def _stored(
    path: Path, record: StoreRecord, row: Rows, names: Sequence[str], about: Mapping[str, Any]
) -> StoreRecord:
    """Write a row of chunks; only when all of it is on disk, the store says that it is there."""
    if row.index == 0:
        write_record(path, record)  # so that what is left by an interruption belongs to a store
    for layer, values in row.values.items():
        folder = layer_path(path, record, layer)
        if row.index == 0:
            room = dask.array.empty((len(names), values.shape[1]), dtype=values.dtype)
            shape = row.shapes[layer]
            create_layer(folder, label_layer(layer, room, shape, names, about).data)
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


def label_layer(
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
