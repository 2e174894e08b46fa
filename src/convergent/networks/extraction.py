"""Activations: what the layers of a network do when it is shown stimuli."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Unpack

from ..base.compute import Compute, ComputeSettings
from ..base.devices import torch_device
from ..base.errors import InputError, unknown
from ..base.hashing import recipe
from ..base.study import Study
from ..data.assembly import Assembly
from ..data.positions import as_extracted
from ..data.stimuli import Stimuli
from .forward import home_device, inputs_fingerprint, show_in_batches
from .into_store import content_of, extract_to, label_layer
from .network import Network
from .pooling import treatment

__all__ = ["check_layers", "extract"]


def extract(
    network: Network,
    stimuli: Stimuli,
    layers: Sequence[str] | None = None,
    *,
    spatial: str = "mean",
    batch_size: int = 32,
    store: str | os.PathLike[str] | None = None,
    **compute: Unpack[ComputeSettings],
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
    store : path, optional
        A folder to write to as the stimuli are shown, for layers larger than memory. If it is
        there, and what it holds follows from the same weights, stimuli (pixel by pixel) and
        ``spatial``, only what is missing is extracted: an interrupted extraction continues, and
        further layers are added. One extraction at a time may write to a store.
    **compute
        ``device``, ``study`` and ``progress``, as for `Compute`. In a study the activations lie in
        a store of its own, found by the weights, structure and code of the network, the stimuli as
        they are after preprocessing, ``spatial`` and the device.

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
    asked = Compute(**compute)
    treat = treatment(spatial)
    place = torch_device(asked.device) if asked.device else home_device(network)
    run = partial(
        show_in_batches,
        network,
        stimuli,
        treat=treat,
        batch_size=batch_size,
        place=place,
        progress=asked.progress,
    )
    about = {**network.about, "spatial": spatial, "weights_sha256": network.weights_sha256()}
    if asked.study is not None:
        if store is not None:
            raise InputError("both store and study are given: a study has stores of its own.")
        store = _store_of(asked.study, network, stimuli, spatial, asked.device)
    if store is not None:
        content = content_of(network, stimuli, about, place)
        return extract_to(Path(store), content, stimuli, layers, about, run)
    with closing(run(dict.fromkeys(layers, 0), len(stimuli))) as rows:
        everything = next(rows)
    about["inputs_sha256"] = everything.inputs_sha256
    values, shapes = everything.values, everything.shapes
    return {
        layer: as_extracted(
            label_layer(layer, values.pop(layer), shapes[layer], stimuli.names, about)
        )
        for layer in layers
    }


def _store_of(
    study: Study, network: Network, stimuli: Stimuli, spatial: str, device: str | None
) -> Path:
    """The store of a study that holds these activations."""
    return study.layers(
        recipe(
            "activations",
            ("networks",),
            network=network.fingerprint(),
            inputs=inputs_fingerprint(network, stimuli),
            stimuli=list(stimuli.names),
            spatial=spatial,
            device=torch_device(device).type if device else "as it is",
        )
    )


def check_layers(network: Network, layers: Sequence[str]) -> None:
    """Make sure that there are such layers, before anything is shown."""
    known = set(network.layers)
    for layer in layers:
        if layer not in known:
            raise unknown(f"layer of {network.name}", layer, network.layers)
    if not layers:
        raise InputError(f"no layer of {network.name} is asked for: name at least one.")
