"""What becomes of the positions of a layer: a mean, a maximum, units or stimuli of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..base.errors import InputError, unknown
from ..data.positions import grid_side

__all__ = ["SPATIAL", "Treatment", "treatment"]

Treatment = Callable[[torch.Tensor, str], torch.Tensor]  # from a layer's output and its name


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
            f"layer {layer!r} has no positions that could be stimuli: it gives "
            f"{what[output.ndim]}. Leave it out (layers=), or use spatial='mean' or 'flatten' for "
            "all layers."
        )
    if side is None:
        return output
    rows, columns = output.shape[2:]
    if side > min(rows, columns):  # some positions would be copies of others
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
    """Find the function that treats the positions of a layer.

    Parameters
    ----------
    spatial : str
        A name of `SPATIAL`, or ``"positions-N"``.

    Returns
    -------
    function
        From the output (stimulus, ...) of a layer, and its name, to activations.

    Raises
    ------
    InputError
        If there is no such treatment.
    """
    if not isinstance(spatial, str):
        raise unknown("treatment of positions", spatial, SPATIAL)
    side = grid_side(spatial)
    if side is not None:
        return partial(_positions, side=side)
    if spatial.startswith("positions-"):
        raise InputError(
            f"spatial={spatial!r}: N of 'positions-N' is a whole number from 1 up, such as "
            "'positions-4'."
        )
    if spatial not in SPATIAL:
        raise unknown("treatment of positions", spatial, [*SPATIAL, "positions-4"])
    return SPATIAL[spatial]
