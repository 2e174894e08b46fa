"""Images and labels of a training: drawings, or images of the user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..base.arguments import as_whole
from ..base.errors import InputError, examples
from ..data.stimuli import Stimuli
from ..images.drawings import CATEGORIES, drawings
from .small import SIZE, pixels

__all__ = ["Batch", "Labelled", "image_source", "labelled_images", "numbered"]

Batch = tuple[torch.Tensor, torch.Tensor]  # pixels of images, and the numbers of their classes


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their classes.

    Attributes
    ----------
    pixels : uint8 tensor (image, 64, 64, 3)
        In the order of the images' names.
    labels : tuple of str
        Category of each image.
    """

    pixels: torch.Tensor
    labels: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        """Names of the classes, sorted."""
        return sorted(set(self.labels))

    def sha256(self) -> str:
        """SHA-256 of pixels and labels."""
        digest = hashlib.sha256("\n".join(self.labels).encode())
        digest.update(self.pixels.numpy().data)
        return digest.hexdigest()


def image_source(images: Stimuli | int, seed: int) -> tuple[dict[str, Any], Callable[[], Labelled]]:
    """Describe the images of a training, and give a function that loads them.

    Parameters
    ----------
    images : Stimuli or int
        Images with a column ``category`` in their table, or the number of drawings.
    seed : int
        Seed of the drawings.

    Returns
    -------
    settings : dict
        Number and hash of the images, as plain values.
    load : function
        Returns the images; drawings are drawn only when it is called.

    Raises
    ------
    InputError
        If the number is below 1, or an image has no category.
    """
    if isinstance(images, Stimuli):
        loaded = labelled_images(images)
        return {"n": len(images), "sha256": loaded.sha256()}, lambda: loaded
    as_whole("images", images)
    first = min(images, len(CATEGORIES))  # enough to notice that drawings have changed
    sha256 = labelled_images(drawings(first, SIZE, seed)).sha256()
    settings = {"n": int(images), "drawings": seed, "sha256": sha256}
    return settings, lambda: labelled_images(drawings(images, SIZE, seed))


def labelled_images(images: Stimuli) -> Labelled:
    """Load images, with the label ``category`` of each.

    Parameters
    ----------
    images : Stimuli
        With a column ``category`` in their table.

    Returns
    -------
    Labelled
        In memory.

    Raises
    ------
    InputError
        If an image has no category.
    """
    if "category" not in images.table:
        columns = examples(images.table.columns) if len(images.table.columns) else "none"
        raise InputError(
            f"the table of the images has no column 'category' (its columns: {columns}): add one "
            "that names the class of each image."
        )
    labels = images.table["category"]
    missing = labels.index[labels.isna()].tolist()
    if missing:
        raise InputError(
            f"{len(missing)} of {len(images)} images have no category ({examples(missing)}): name "
            "the class of each, or select the others."
        )
    values = np.empty((len(images), SIZE, SIZE, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        values[i] = pixels(image)
    return Labelled(torch.from_numpy(values), tuple(map(str, labels)))


def numbered(images: Labelled, classes: Sequence[str], device: torch.device) -> Batch:
    """Move images to a device, with the numbers of their classes.

    Parameters
    ----------
    images : Labelled
        The images.
    classes : sequence of str
        Names of the classes, in the order of their numbers.
    device : torch.device
        Where the training runs.

    Returns
    -------
    tuple of torch.Tensor
        Pixels (image, 64, 64, 3) and class numbers (image,).

    Raises
    ------
    InputError
        If an image is of another class.
    """
    other = sorted(set(images.labels) - set(classes))
    if other:
        raise InputError(
            f"held-out images are of categories that no training image has ({examples(other)} "
            f"besides {examples(classes)}): leave these out, or add training images of them."
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = torch.tensor([number[label] for label in images.labels])
    return images.pixels.to(device), labels.to(device)
