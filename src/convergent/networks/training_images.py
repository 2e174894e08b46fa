"""Images and labels of a training: drawn anew, or given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from ..base.errors import InputError, check_numbers, examples
from ..data.stimuli import Stimuli
from ..images.drawings import CATEGORIES, drawings
from .small import SIZE, pixels

__all__ = ["Labelled", "drawn_images", "labelled_images"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their classes.

    Attributes
    ----------
    pixels : uint8 tensor (image, 64, 64, 3)
        In the order of their names.
    labels : tuple of str
        Category of each.
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


def _source(images: Stimuli | int, seed: int) -> tuple[dict[str, Any], Callable[[], Labelled]]:
    """What images are, for the settings, and a function that loads them when they are needed."""
    if isinstance(images, Stimuli):
        loaded = labelled_images(images)
        return {"n": len(images), "sha256": loaded.sha256()}, lambda: loaded
    check_numbers(images=images)
    first = min(images, len(CATEGORIES))  # enough to tell drawings that were drawn otherwise
    sha256 = labelled_images(drawings(first, SIZE, seed)).sha256()
    return {"n": int(images), "drawings": seed, "sha256": sha256}, partial(
        drawn_images, images, seed
    )


@lru_cache(maxsize=2)
def drawn_images(n: int, seed: int) -> Labelled:
    """Drawings, kept for the next training: they take a sixth of the time of one."""
    return labelled_images(drawings(n, SIZE, seed))


def labelled_images(images: Stimuli) -> Labelled:
    """Pixels of images, with the label ``category`` of each."""
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


def _numbered(images: Labelled, classes: Sequence[str], place: torch.device) -> _Numbered:
    """Images and numbers of their classes, on a device."""
    strange = sorted(set(images.labels) - set(classes))
    if strange:
        raise InputError(
            f"held-out images are of categories that no image is learned from ({examples(strange)} "
            f"besides {examples(classes)}): leave these out, or add images of them."
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = torch.tensor([number[label] for label in images.labels])
    return images.pixels.to(place), labels.to(place)


_Numbered = tuple[torch.Tensor, torch.Tensor]
