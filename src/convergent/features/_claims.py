"""The three claims of the paper, put to numbers: whether they hold, and by how much.

What is asked of each was set before any result was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
import xarray as xr

from ..base.errors import InputError
from ..scoring.jackknife import over_networks

__all__ = ["CLAIMS", "FEW", "MORE_THAN_ONE", "OTHER_AXES", "SOME", "SPAN", "claims"]

SOME = 0.1  # of the units, at the least, on either side of the line
SPAN = 0.5**0.5  # canonical correlation of a shared subspace, at the least
OTHER_AXES = 0.1  # by which single units match worse than what they span, at the least
MORE_THAN_ONE = 0.02  # by which the r of few units exceeds that of one, at the least
FEW = 0.5  # on the scale from one unit (0) to all (1): the root of their number, at the most

CLAIMS = (
    "some features are reliably shared, and others are not",
    "groups of units share a subspace, but with different bases",
    "the code lies between local and slightly distributed",
)


def claims(
    layers: xr.Dataset | Sequence[xr.Dataset],
    networks: Sequence[tuple[str, str]] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Say whether each claim of the paper holds.

    Parameters
    ----------
    layers : xarray.Dataset, or sequence of them
        ``layers`` of `overview`, of one pair of networks or of several.
    networks : sequence of tuple of str, optional
        Names of source and target of each pair, such as their seeds. With three networks or more,
        intervals are for other networks (jackknife over those that are there), unless one is in
        every pair.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row a claim: ``claim``, ``verdict`` ("holds", "holds partly", "does not hold here") and
        the ``numbers``: means over layers and pairs, with intervals where there are any. A part
        holds where its interval does, or, without one, its estimate; a claim, where all parts do.

    Raises
    ------
    InputError
        Where there is nothing, pairs have other layers, or names are not as many as pairs.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    several = [layers] if isinstance(layers, xr.Dataset) else list(layers)
    names = [("source", "target")] * len(several) if networks is None else list(networks)
    if not several or len(names) != len(several):
        raise InputError(
            f"there are {len(several)} results and {len(names)} pairs of names: give the layers of "
            "one overview or more, and the two networks of each."
        )
    if len({tuple(one["layer"].values.tolist()) for one in several}) > 1:
        raise InputError("the pairs of networks have different layers: give those of the same.")
    numbers = [one.drop_vars("target_layer", errors="ignore") for one in several]
    whole = xr.concat(numbers, "pair", combine_attrs="override").assign_coords(
        group=("pair", ["all"] * len(several)),
        source_seed=("pair", [str(source) for source, _ in names]),
        target_seed=("pair", [str(target) for _, target in names]),
    )

    def of(statistic: Callable[[xr.Dataset], xr.DataArray]) -> _Estimate:
        found = over_networks(whole, lambda one: statistic(one).mean(), level)
        return _Estimate(*(float(found[name]) for name in ("estimate", "low", "high")))

    shared, alone = of(lambda one: one["shared"]), of(lambda one: one["not_shared"])
    span = of(lambda one: one["canonical"])
    axes = of(lambda one: one["canonical"] - one["matched"])
    predicted, matched = of(lambda one: one["predicted"]), of(lambda one: one["matched"])
    native = of(lambda one: one["native"] - one["rotated"])
    few = of(lambda one: one["r_lasso"] - one["r_single"])
    scale = of(lambda one: one["scale_sparse"])
    rows = [
        (
            [shared.low >= SOME, alone.low >= SOME],
            f"{shared} of the units have a partner that surely tells half of their variance; "
            f"{alone} surely have none",
        ),
        (
            [span.low >= SPAN, axes.low >= OTHER_AXES],
            f"canonical correlation of a cluster's parts {span}, by {axes} above that of its units "
            f"paired one-to-one; the other part predicts a unit by r {predicted}, its partner by "
            f"{matched}",
        ),
        (
            [native.low > 0, few.low >= MORE_THAN_ONE, scale.high <= FEW],
            f"soft matching of units is {native} above that of rotations; few units predict by "
            f"{few} better (r) than one; effective number of them {scale} on the scale from one "
            "(0) to all (1)",
        ),
    ]
    return pd.DataFrame(
        [
            {"claim": claim, "verdict": _verdict(parts), "numbers": numbers}
            for claim, (parts, numbers) in zip(CLAIMS, rows, strict=True)
        ]
    )


class _Estimate:
    """A mean, and its interval; where none is known, the mean is both ends."""

    def __init__(self, mean: float, low: float, high: float) -> None:
        self.mean, self._known = mean, not math.isnan(low)
        self.low, self.high = (low, high) if self._known else (mean, mean)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" [{self.low:.2f}, {self.high:.2f}]" if self._known else "")


def _verdict(parts: Sequence[bool]) -> str:
    if all(parts):
        return "holds"
    return "holds partly" if any(parts) else "does not hold here"
