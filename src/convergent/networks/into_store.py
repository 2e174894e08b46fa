"""Activations written to a store during an extraction, which can be interrupted and continued."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import torch

from ..base.errors import InputError, examples
from ..base.files import check_space, check_writable, remove_leftovers, reported
from ..base.lock import held
from ..data.assembly import Assembly
from ..data.contents import COORDINATE, contents_of
from ..data.layer_store import (
    StoreRecord,
    create_layer,
    finish_layer,
    intact_rows,
    layer_path,
    read_record,
    write_record,
    write_rows,
)
from ..data.positions import as_extracted
from ..data.stimuli import Stimuli
from ..data.storage import check_attrs, chunk_sizes, read_array
from .forward import Rows, layout_of
from .network import Network

__all__ = ["content_of", "extract_to", "holds_other", "label_layer"]


def extract_to(
    path: Path,
    content: dict[str, Any],
    stimuli: Stimuli,
    layers: Sequence[str],
    about: dict[str, Any],
    run: Callable[[Mapping[str, int], int], Generator[Rows, None, None]],
) -> dict[str, Assembly]:
    """Extract what a store does not hold yet, and open it.

    Parameters
    ----------
    path : Path
        The store.
    content : dict
        What decides the activations: from `content_of`, and ``network``, a hash.
    stimuli : Stimuli
        The images.
    layers : sequence of str
        Names of the layers.
    about : dict
        Attributes of the assemblies; the hash of the inputs is added.
    run : function
        From the rows that are finished, by layer, and the number of stimuli in a row, to the rows
        of chunks (`forward.extract_rows`).

    Returns
    -------
    dict of str to Assembly
        On disk, in the order of ``layers``.

    Raises
    ------
    InputError
        If the store holds other activations, or is in use by another process, or cannot be
        written to, or attributes cannot be saved.
    """
    check_attrs(about)
    with _writing(path, layers, content) as record:
        _extract_missing(path, record, stimuli, layers, about, run)
    contents = "stimulus", contents_of(stimuli, stimuli.names, opened=True)
    found = {layer: read_array(layer_path(path, record, layer)) for layer in layers}
    for layer, data in found.items():
        found[layer] = data.assign_coords({COORDINATE: contents})
        found[layer].attrs = dict(about)  # of this call: its notes about the network may differ
    return {layer: as_extracted(Assembly(data)) for layer, data in found.items()}


@contextmanager
def _writing(path: Path, layers: Sequence[str], content: dict[str, Any]) -> Iterator[StoreRecord]:
    """Record of a store, which is held for the length of a with if layers are incomplete."""
    record = _record_of(path, layers, content)
    if all(record.layers[layer] == record.n_rows for layer in layers):
        remove_leftovers(path)  # of a process that was killed at its very end
        yield record
        return
    check_writable(path)
    try:
        with held(path, "an extraction of activations"):
            remove_leftovers(path)
            yield _record_of(path, layers, content)  # another process may have added to it
    finally:
        with suppress(OSError):  # it holds something
            path.rmdir()


def _extract_missing(
    path: Path,
    record: StoreRecord,
    stimuli: Stimuli,
    layers: Sequence[str],
    about: dict[str, Any],
    run: Callable[[Mapping[str, int], int], Generator[Rows, None, None]],
) -> None:
    """Write the rows of chunks that a store does not hold; compare the inputs of all rows."""
    finished = {layer: record.layers[layer] for layer in layers}
    n_known = len(record.inputs)
    if min(finished.values()) < n_known:  # before rows are added, check all that are known
        with closing(run({}, record.height)) as rows:
            for row in islice(rows, n_known):
                _check_inputs(path, record, row, stimuli)
    with closing(run(finished, record.height)) as rows:
        for row in rows:
            _check_inputs(path, record, row, stimuli)
            about["inputs_sha256"] = row.inputs_sha256
            if row.values:
                with reported(path):
                    record = _write_row(path, record, row, stimuli, about)


def content_of(
    network: Network, stimuli: Stimuli, about: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Collect what decides activations, except the pixels and the hash of the network.

    Parameters
    ----------
    network : Network
        The network.
    stimuli : Stimuli
        The images.
    about : mapping
        Attributes of the assemblies: ``weights_sha256`` and ``spatial`` are read.
    device : torch.device
        Where the network runs.

    Returns
    -------
    dict
        Plain values.
    """
    return {
        "weights": about["weights_sha256"],
        "device": device.type,  # devices differ in rounding
        "spatial": about["spatial"],
        "inputs": layout_of(network.preprocess(stimuli[0])),
        "stimuli": list(stimuli.names),
    }


_CONTENT = {  # what can differ between a store and a call, and how a message names it
    "weights": "other weights",
    "network": "another network: other code, settings or hooks",
    "device": "another device",
    "spatial": "another treatment of positions (spatial)",
    "inputs": "another image size",
    "stimuli": "other stimuli",
}


def _record_of(path: Path, layers: Sequence[str], content: dict[str, Any]) -> StoreRecord:
    """Record of a store, with these layers in it; an error if it holds other activations."""
    record = read_record(path)
    if record is None:
        height, _ = chunk_sizes(len(content["stimuli"]), 1)
        return StoreRecord(content, height, (), dict.fromkeys(layers, 0))
    for key, what in _CONTENT.items():
        found, wanted = record.content.get(key), content[key]
        if key == "stimuli" and found != wanted:
            other = sorted(set(found or ()) ^ set(wanted))
            found, wanted = f"{len(found or ())} stimuli", f"{len(wanted)}"
            wanted += f"; not in both are {examples(other)}" if other else ", in another order"
        if key not in record.content:
            found = "an older version of convergent did not say which"
        if found != wanted:
            raise holds_other(path, what, f"{found} in the store, asked for {wanted}")
    intact = intact_rows(path, record)  # in the order of the record, which names the folders
    return replace(record, layers=intact | {layer: intact.get(layer, 0) for layer in layers})


def holds_other(path: Path, what: str, detail: str) -> InputError:
    """Error for a store of other activations than those asked for."""
    return InputError(
        f"{path} holds activations of {what} ({detail}), and is left as it is: give another path "
        "as store, or remove it."
    )


def _check_inputs(path: Path, record: StoreRecord, row: Rows, stimuli: Stimuli) -> None:
    """Stop before anything is written beside activations of other pixels."""
    if row.index < len(record.inputs) and record.inputs[row.index] != row.inputs_sha256:
        names = stimuli.names[row.stimuli]
        raise holds_other(
            path,
            "other pixels, or pixels that were preprocessed otherwise",
            f"in one or more of the stimuli from {names[0]!r} to {names[-1]!r}",
        )


def _write_row(
    path: Path, record: StoreRecord, row: Rows, stimuli: Stimuli, about: Mapping[str, Any]
) -> StoreRecord:
    """Write a row of chunks; the record counts it only once all of it is on disk."""
    names = stimuli.names
    if row.index == 0:
        write_record(path, record)  # so that what an interruption leaves is known as a store
        n_bytes = sum(values[0].nbytes for values in row.values.values()) * len(names)
        check_space(path, n_bytes, "the activations")
    for layer, values in row.values.items():
        folder = layer_path(path, record, layer)
        if row.index == 0:
            empty = dask.array.empty((len(names), values.shape[1]), dtype=values.dtype)
            unknown = [""] * len(names)  # until all stimuli were opened
            labelled = label_layer(layer, empty, row.shapes[layer], names, about, unknown)
            create_layer(folder, labelled.data)
        write_rows(folder, row.stimuli.start, values)
        if row.index == record.n_rows - 1:
            finish_layer(folder, layer, about, contents_of(stimuli, names, opened=True))
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
    contents: Sequence[str],
) -> Assembly:
    """Label the activations of one layer.

    Parameters
    ----------
    layer : str
        Its name.
    values : numpy or dask array (stimulus, unit)
        Activations.
    shape : tuple of int
        Shape of the activations of one stimulus: (channel,), (token, channel) or (channel, row,
        column).
    names : sequence of str
        Names of the stimuli.
    about : mapping
        Attributes.
    contents : sequence of str
        Hashes of the stimuli.

    Returns
    -------
    Assembly
        Its units are named by layer and indices, as in ``stem/03.12.07``.
    """
    axes = {1: ("channel",), 2: ("token", "channel"), 3: ("channel", "row", "column")}[len(shape)]
    indices = np.unravel_index(np.arange(values.shape[1]), shape)
    written = [
        np.char.mod(f"%0{len(str(size - 1))}d", index)
        for size, index in zip(shape, indices, strict=True)
    ]
    units = written[0]
    for part in written[1:]:
        units = np.char.add(np.char.add(units, "."), part)
    labels: dict[str, Any] = {"layer": layer, COORDINATE: ("stimulus", list(contents))}
    for axis, index in zip(axes, indices, strict=True):
        labels[axis] = ("unit", index.astype(np.int32))
    return Assembly.from_array(
        values,
        stimuli=names,
        units=np.char.add(f"{layer}/", units),
        name=layer,
        attrs=about,
        **labels,
    )
