"""What the commands read: networks, recordings and images, by the names that the user types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import convergent as cv

from ..base.errors import InputError, unknown
from .options import DRAWINGS, HELD_OUT_SEED, STIMULI, parts_of
from .steps import doing

__all__ = [
    "Extract",
    "OfNetwork",
    "OfRecording",
    "check_files",
    "check_images",
    "extractor",
    "images_for",
    "images_named",
    "network_named",
    "network_with_layers",
    "recording_named",
    "two_networks",
    "two_sides",
]

_SAVED = {".nc", ".zarr"}
_WEIGHTS = {".pt", ".pth", ".ckpt", ".safetensors"}
_FILES = {  # endings of what is a file, and no name of a network or data set
    *(_SAVED | _WEIGHTS),
    *(".npy", ".npz", ".mat", ".h5", ".hdf5", ".csv", ".tsv", ".txt", ".json", ".toml", ".pkl"),
    *(".nii", ".gz", ".nwb", ".fif", ".zip", ".png", ".jpg", ".jpeg", ".tif", ".tiff"),
}
_IMAGES = "a data set, a folder or a zip of images"
_FAMILIES = ("torchvision", "timm")  # not modules of the user
Extract = Callable[..., "dict[str, cv.Assembly]"]  # of a network, images and names of layers


@dataclass(frozen=True)
class OfNetwork:
    """A network, and the layers that are compared."""

    network: cv.Network
    layers: tuple[str, ...]

    def populations(self, extract: Extract, images: cv.Stimuli | None) -> dict[str, cv.Assembly]:
        """Responses of each layer, named by network and layer."""
        layers = extract(self.network, images, self.layers)
        return {
            layer: cv.Assembly(assembly.data.rename(f"{self.network.name} {layer}"))
            for layer, assembly in layers.items()
        }


@dataclass(frozen=True)
class OfRecording:
    """A recording, and the images that belong to it if they are known."""

    given: str  # as the user typed it
    recording: cv.Assembly
    images: cv.Stimuli | None

    def populations(self, _extract: Extract, _images: cv.Stimuli | None) -> dict[str, cv.Assembly]:
        """The whole recording, by its name."""
        name = self.recording.name or Path(self.given).name
        return {name: cv.Assembly(self.recording.data.rename(name))}

    def parts(self, by: str | None) -> dict[str, cv.Assembly]:
        """Populations by the values of a label, which is the region if None and if known."""
        if by is None and "region" in self.recording.data.coords:
            by = "region"
        if by is None:
            return {self.recording.name or "recording": self.recording}
        return self.recording.by(by)


_Side = OfNetwork | OfRecording


def extractor(spatial: str, batch_size: int, device: str, study: cv.Study | None) -> Extract:
    """`convergent.extract`, with the settings of a command."""

    def extract(
        net: cv.Network, images: cv.Stimuli, names: Sequence[str]
    ) -> dict[str, cv.Assembly]:
        with doing(f"activations of {net.name}", always=True):
            return cv.extract(
                net,
                images,
                names,
                spatial=spatial,
                batch_size=batch_size,
                device=device,
                study=study,
            )

    return extract


def network_named(given: str, **settings: Any) -> cv.Network:
    """A network from NAME, or NAME=CHECKPOINT."""
    name, sign, checkpoint = given.partition("=")
    _check_no_file(name, "a network")
    if sign and not checkpoint:
        raise InputError(f"{given} names no checkpoint: give NAME=CHECKPOINT, or NAME.")
    module, colon, _ = name.partition(":")
    if colon and module not in _FAMILIES:
        _search_this_folder(module)
    with doing(f"loading {name}"):
        return cv.network(name, checkpoint=checkpoint or None, **settings)


def _search_this_folder(module: str) -> None:
    """Let Python find a module in this folder, last, if it is found nowhere else.

    The folder is searched for nothing else: it may hold files of anybody, whose names are those of
    packages.
    """
    package = module.partition(".")[0]
    if package.isidentifier() and package not in sys.modules and find_spec(package) is None:
        sys.path.append(str(Path.cwd()))


def network_with_layers(given: str, layers: str | None) -> OfNetwork:
    """A network, and those of its layers that are named, or its default layers."""
    from ..networks.extraction import check_layers  # here, as help texts do not need torch

    net = network_named(given)
    chosen = tuple(parts_of(layers)) if layers else net.default_layers
    check_layers(net, chosen)
    return OfNetwork(net, chosen)


def two_networks(
    first: str, second: str, layers: str | None, layers_second: str | None
) -> tuple[OfNetwork, OfNetwork]:
    """Both networks with their layers; the same layers by default if it is one network."""
    layers_second = layers_second or (layers if _same_network(first, second) else None)
    return network_with_layers(first, layers), network_with_layers(second, layers_second)


def two_sides(
    names: tuple[str, str],
    layers: tuple[str | None, str | None],
    where: tuple[str | None, str | None],
) -> tuple[_Side, _Side]:
    """Both sides of a comparison: networks with their layers, recordings with their images."""
    layers = layers[0], layers[1] or (layers[0] if _same_network(*names) else None)
    return (
        _side_named(names[0], layers[0], where[0], "--where"),
        _side_named(names[1], layers[1], where[1], "--where-second"),
    )


def check_files(network: str, stimuli: str | None) -> None:
    """Refuse, before data are loaded, files that do not exist or are of another kind."""
    name, _, checkpoint = network.partition("=")
    _check_no_file(name, "a network")
    if checkpoint and not Path(checkpoint).exists():
        raise InputError(f"there is no checkpoint {checkpoint}.")
    if stimuli is not None and not stimuli.endswith(".zip"):
        _check_no_file(stimuli, _IMAGES)
    elif stimuli is not None and not Path(stimuli).exists():
        raise InputError(f"there is no file {stimuli}.")


def recording_named(given: str) -> OfRecording:
    """A data set with its images, or a saved assembly, whose images are not known."""
    if _is_saved(given):
        with doing(f"opening {given}"):
            saved = cv.open(given)
        if not isinstance(saved, cv.Assembly):
            raise InputError(
                f"{given} holds a result of an earlier run, and no recording: give a data set, or "
                "a file that Assembly.save wrote."
            )
        return OfRecording(given, saved, None)
    data_set, _, session = given.partition("/")
    if data_set not in cv.cards():
        _check_no_file(given, "a data set or saved assembly (.nc, .zarr)")
    if not data_set or Path(given).exists():
        raise InputError(
            f"there is no data set {given}, and this is no saved assembly (.nc, .zarr): read other "
            "files with convergent.formats, and save them with Assembly.save."
        )
    with doing(f"loading {given}"):
        images, recording = cv.load(data_set, session or None)
    return OfRecording(given, recording, images)


def images_named(name: str) -> cv.Stimuli:
    """Images of a data set, in a folder or zip, or drawings that no training uses."""
    with doing(f"loading the images of {name}"):
        return _images_named(name)


def _images_named(name: str) -> cv.Stimuli:
    if name == "drawings":
        return cv.drawings(DRAWINGS, seed=HELD_OUT_SEED)
    path = Path(name)
    if path.suffix != ".zip":
        _check_no_file(name, _IMAGES)
    if path.is_dir():
        return cv.Stimuli.from_folder(path)
    if path.suffix == ".zip":
        return cv.Stimuli.from_zip(path)
    data_set, _, session = name.partition("/")
    if data_set not in cv.cards():
        raise unknown("data set, folder or zip", name, [*cv.cards(), "drawings"])
    return cv.load(data_set, session or None)[0]


def images_for(
    stimuli: str | None, recorded: Sequence[OfRecording], needed: bool = True
) -> cv.Stimuli | None:
    """Images that networks process: those given, those of a recording, or the default.

    Parameters
    ----------
    stimuli : str or None
        Name of the images.
    recorded : list of OfRecording
        What is compared with a network, or with another recording.
    needed : bool
        Whether there is a network.
    """
    if stimuli is not None:
        return images_named(stimuli)
    images = next((one.images for one in recorded if one.images is not None), None)
    if images is not None or not needed:
        return images
    if recorded:
        raise InputError(
            f"the images that go with {recorded[0].given} are missing: add --stimuli FOLDER or ZIP."
        )
    return images_named(STIMULI)


def check_images(
    spatial: str,
    folds: cv.Folds,
    images: cv.Stimuli | None,
    recorded: Sequence[OfRecording] = (),
) -> None:
    """Refuse, before a network runs, images of another session, and what the images do not allow.

    Parameters
    ----------
    spatial : str
        Treatment of a layer's positions.
    folds : Folds
        How the images are split.
    images : Stimuli or None
        What networks process.
    recorded : list of OfRecording
        What networks are compared with.
    """
    from ..data.assembly import images_of  # here, as help texts need none of these
    from ..data.contents import check_contents, with_contents
    from ..data.positions import keeps_positions
    from ..networks.pooling import treatment

    treatment(spatial)
    if images is not None:
        with doing("checking that the images are those of the recording"):
            for one in recorded:
                data = one.recording.data
                check_contents(["the network", one.given], [with_contents(data, images), data])
    whole = [one for one in recorded if images_of(one.recording) is None]
    if not keeps_positions(spatial):
        counts = [len(one.recording.stimuli) for one in whole]
        counts += [] if images is None else [len(images)]
        if counts:
            folds.split(min(counts))
    elif whole:  # positions of images are more stimuli than images, so folds are not checked here
        raise InputError(
            f"--spatial {spatial} makes each position a stimulus, and the stimuli of "
            f"{whole[0].given} are whole images: use another, such as mean."
        )


def _same_network(first: str, second: str) -> bool:
    return first.partition("=")[0] == second.partition("=")[0]


def _is_saved(name: str) -> bool:
    return name.rstrip("/").endswith(tuple(_SAVED))


def _check_no_file(given: str, wanted: str) -> None:
    """Refuse a file where something else is wanted, or a file that does not exist."""
    path = Path(given)
    if path.suffix.lower() not in _FILES or path.is_dir():
        return
    if not path.exists():
        raise InputError(f"there is no file {given}.")
    suffix = path.suffix.lower()
    reads = (
        "read it in Python (convergent.formats, or Assembly.from_array), and save the assembly: "
        "recording.save('recording.nc')"
    )
    if suffix in _WEIGHTS:
        reads = f"give weights after the name of their network, as in NAME={given}"
    elif suffix in _SAVED:
        reads = "convergent compare and score take saved assemblies"
    raise InputError(f"{given} is a file, and {wanted} is needed here: {reads}.")


def _side_named(given: str, layers: str | None, where: str | None, option: str) -> _Side:
    if not _is_saved(given) and given.partition("/")[0] not in cv.cards():
        if where:
            raise InputError(
                f"{given} is a network, and {option} {where} chooses units of a recording: leave "
                "it out."
            )
        return network_with_layers(given, layers)
    if layers:
        raise InputError(f"{given} is a recording, and has no layers: leave out {layers!r}.")
    side = recording_named(given)
    if where:
        return replace(side, recording=side.recording.where(**_labels(where, option)))
    return side


def _labels(where: str, option: str) -> dict[str, Any]:
    """Read LABEL=VALUE, separated by commas; values of one label are alternatives."""
    found: dict[str, list[str]] = {}
    for part in parts_of(where):
        label, sign, value = part.partition("=")
        if not (label and sign and value):
            raise InputError(f"{option} {where!r}: give LABEL=VALUE, as in region=V4,subject=a.")
        found.setdefault(label, []).append(value)
    return found
