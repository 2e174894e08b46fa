"""Activations: the responses of a network's layers to stimuli."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Unpack

import torch

from ..base.compute import Compute, ComputeSettings
from ..base.devices import torch_device
from ..base.errors import InputError, as_list, as_whole, check_type, unknown
from ..base.files import as_path
from ..base.hashing import recipe
from ..base.study import Study
from ..data.assembly import Assembly
from ..data.contents import contents_of
from ..data.positions import as_extracted
from ..data.stimuli import Stimuli
from .forward import extract_rows, home_device, inputs_fingerprint
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
    """Extract the activations of some layers of a network.

    Parameters
    ----------
    network : Network
        It runs in evaluation mode, and is left in the state in which it was.
    stimuli : Stimuli
        The images.
    layers : sequence of str, optional
        Names of any modules; by default, the network's default layers. The network runs no further
        than the last of them. Of a module that runs several times, the first output is taken.
    spatial : {"mean", "max", "center", "flatten", "positions", "positions-N"}
        What becomes of the positions of a layer (height x width, or tokens): their mean, their
        maximum, the middle position alone, each position of each channel as a unit of its own, or
        (for convolutional layers) each position as a stimulus of its own, to which the channels
        respond. With ``"positions-4"`` there are 4 x 4 positions, each the mean of its part of the
        map, so that layers of any map size have the same positions.
    batch_size : int
        Number of stimuli in one forward pass.
    store : path, optional
        A folder to which activations are written during the extraction, for layers larger than
        memory. If it exists, and holds activations from the same weights, stimuli (pixel by pixel)
        and ``spatial``, only what is missing is extracted: an interrupted extraction continues,
        and further layers are added. Only one extraction at a time may write to a store.
    **compute
        ``device``, ``study`` and ``progress``, as for `Compute`. A study has a store of its own
        for these activations, which is found by the weights, structure and code of the network,
        the preprocessed stimuli, ``spatial`` and the device.

    Returns
    -------
    dict of str to Assembly
        One for each layer, float32 (stimulus, unit), with coordinates ``layer``, ``channel`` and,
        where positions are units, ``row`` and ``column`` (or ``token``) along ``unit``. Where
        positions are stimuli, these are named ``NAME@ROW.COLUMN/ROWSxCOLUMNS``; ``image``, ``row``
        and ``column`` lie along ``stimulus``, and folds keep the positions of an image together.
        The coordinate ``stimulus_sha256`` has the hash of each image.
        With a store or a study, values stay on disk until they are needed (dask).

    Raises
    ------
    InputError
        If a layer is not known or never runs, or its output is no array of activations, or has no
        positions where they are to be stimuli; if the store holds other activations, which are
        left as they are; if both a store and a study are given.
    TypeError
        If a keyword is not known.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS (positions as stimuli).

    Examples
    --------
    >>> import convergent as cv
    >>> network = cv.network("small-plain", pretrained=False)
    >>> layers = cv.extract(network, cv.drawings(4), ["stem", "blocks.3"])
    >>> layers["stem"].data.shape
    (4, 16)
    >>> cv.extract(network, cv.drawings(4), ["stem"], spatial="flatten")["stem"].units[:2].tolist()
    ['stem/00.00.00', 'stem/00.00.01']
    """
    check_type(Network, "a Network, such as network('small-plain')", network=network)
    check_type(Stimuli, "Stimuli, such as Stimuli.from_folder('images')", stimuli=stimuli)
    wanted = network.default_layers if layers is None else layers
    several = [wanted] if isinstance(wanted, str) else as_list("layers", wanted, "a list of names")
    check_layers(network, several)
    layers = list(dict.fromkeys(several))
    batch_size = as_whole("batch_size", batch_size)
    if store is not None and compute.get("study") is not None:
        raise InputError(
            "both store and study are given: give one of them, as a study has stores of its own."
        )
    treat, settings = treatment(spatial), Compute(**compute)
    device = torch_device(settings.device) if settings.device else home_device(network)
    run = partial(
        extract_rows,
        network,
        stimuli,
        treat=treat,
        batch_size=batch_size,
        device=device,
        progress=settings.progress,
    )
    about = {**network.about, "spatial": spatial, "weights_sha256": network.weights_sha256()}
    if settings.study is not None:
        store = _store_in(settings.study, network, stimuli, spatial, device)
    if store is not None:
        content = content_of(network, stimuli, about, device)
        return extract_to(as_path(store, "store"), content, stimuli, layers, about, run)
    with closing(run(dict.fromkeys(layers, 0), len(stimuli))) as rows:
        found = next(rows)  # one row holds all stimuli
    about["inputs_sha256"] = found.inputs_sha256
    contents = contents_of(stimuli, stimuli.names, opened=True)
    return {
        layer: as_extracted(
            label_layer(
                layer, found.values.pop(layer), found.shapes[layer], stimuli.names, about, contents
            )
        )
        for layer in layers
    }


def _store_in(
    study: Study, network: Network, stimuli: Stimuli, spatial: str, device: torch.device
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
            device=device.type,
        )
    )


def check_layers(network: Network, layers: Sequence[str]) -> None:
    """Check that a network has these layers, before any work is done.

    Parameters
    ----------
    network : Network
        The network.
    layers : sequence of str
        Names of modules.

    Raises
    ------
    InputError
        If a name is not known, or there are none.
    """
    known = set(network.layers)
    for layer in layers:
        if not isinstance(layer, str) or layer not in known:
            raise unknown(f"layer of {network.name}", layer, network.layers)
    if not layers:
        raise InputError(f"no layer of {network.name} is named: name at least one.")
