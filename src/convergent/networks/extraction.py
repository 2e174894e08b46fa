"""Activations: the responses of a network's layers to stimuli."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch

from ..base.arguments import as_list, as_whole, check_type
from ..base.compute import Compute, ComputeSettings
from ..base.content import UnknownContentError
from ..base.devices import torch_device
from ..base.errors import InputError, unknown, warn
from ..base.files import as_path
from ..base.hashing import keys_if_known, recipe
from ..base.study import Study
from ..data.assembly import Assembly
from ..data.contents import contents_of
from ..data.layer_store import read_record
from ..data.names import check_writable
from ..data.positions import as_extracted
from ..data.stimuli import Stimuli
from .forward import extract_rows, home_device, inputs_fingerprint
from .into_store import content_of, extract_to, holds_other, label_layer
from .network import Network
from .pooling import treatment
from .probe import changed_layer

__all__ = ["check_layers", "extract"]

_CODE = ("networks",)  # packages whose code decides activations


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
        memory. If it exists, and holds activations of the same network (weights, attributes, hooks
        and code), stimuli (pixel by pixel) and ``spatial``, only what is missing is extracted: an
        interrupted extraction continues, and further layers are added. Two stimuli are shown to
        the network, to see whether it still gives what the store holds. Only one extraction at a
        time may write to a store.
    **compute
        ``device``, ``study`` and ``progress``, as for `Compute`. A study has a store of its own
        for these activations, which is found by all that decides them: weights, attributes,
        hooks and code of the network, the preprocessed stimuli, ``spatial`` and the device.

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

    Warns
    -----
    UserWarning
        If nothing is kept in the study, or a store cannot be continued later, since the network
        holds something whose content cannot be known (an open file, compiled code); if the study
        holds other outputs of the network; if this package's files changed since they were loaded.

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
    check_type(
        Network,
        "a Network, as network(NAME) or Network(NAME, module, preprocess) make",
        network=network,
    )
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
    name = {} if "network" in network.about else {"network_name": network.name}
    about = {
        **name,
        **network.about,
        "spatial": spatial,
        "weights_sha256": network.weights_sha256(),
    }
    if settings.study is not None:
        place = _in_study(settings.study, network, stimuli, about, device)
    else:
        path = None if store is None else as_path(store, "store")
        place = None if path is None else _in_store(path, network, stimuli, about, device)
    if place is not None:
        changed = changed_layer(*place, network, stimuli, layers, treat, device, batch_size)
        if changed is None:
            return extract_to(*place, stimuli, layers, about, run)
        _tell_of_change(place[0], changed, network, settings.study)
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


_Place = tuple[Path, dict[str, Any]]  # a store, and what decides its activations


def _in_study(
    study: Study,
    network: Network,
    stimuli: Stimuli,
    about: Mapping[str, Any],
    device: torch.device,
) -> _Place | None:
    """The store of a study that holds these activations; None if they must not be kept."""
    what = f"activations of {network.name}"
    known = keys_if_known(what, _CODE, lambda: {"network": network.architecture_sha256()})
    if known is None:
        return None
    content = content_of(network, stimuli, about, device) | known
    key = recipe("activations", _CODE, pixels=inputs_fingerprint(network, stimuli), **content)
    return study.layers(key), content


def _in_store(
    path: Path,
    network: Network,
    stimuli: Stimuli,
    about: Mapping[str, Any],
    device: torch.device,
) -> _Place:
    """A store of the user; if the network cannot be known, it must be new, and stays alone."""
    try:
        known = {"network": network.architecture_sha256()}
    except UnknownContentError as error:
        if read_record(path) is not None:
            raise InputError(
                f"{path} cannot be continued with {network.name}, as it cannot be known whether it "
                f"holds activations of the same network: {error} Or give another path as store."
            ) from None
        warn(f"{path} can be opened later, and not be continued if it is interrupted: {error}")
        known = {"network": f"unknown {uuid.uuid4().hex}"}  # equal to no other
    return path, content_of(network, stimuli, about, device) | known


def _tell_of_change(path: Path, layer: str, network: Network, study: Study | None) -> None:
    """Say that a store holds outputs of another network, though all that is known is equal."""
    why = (
        f"layer {layer!r} gives other outputs for the first stimuli, with the same weights, code "
        "and settings. Either it draws at random or depends on the batch, or something has "
        "changed that is not seen, such as compiled code or a file that it reads"
    )
    if study is None:
        raise holds_other(path, "another network", why)
    warn(
        f"activations of {network.name} are neither kept in the study nor read from it: {why}. If "
        f"the network is to stay as it is now, remove {path}."
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
        If a name is not known or cannot be saved, or there are none.
    """
    known = set(network.layers)
    for layer in layers:
        if not isinstance(layer, str) or layer not in known:
            raise unknown(f"layer of {network.name}", layer, network.layers)
    if not layers:
        raise InputError(f"no layer of {network.name} is named: name at least one.")
    check_writable(layers, "layer")
