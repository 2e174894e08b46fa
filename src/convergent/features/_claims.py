"""The three claims of Li et al. 2015 as numbers: whether they hold, and by how much.

The thresholds were set before any result was seen. One rule was added later: a claim has a core,
without which it does not hold. Of two random networks, no unit has a partner: that others are not
shared then says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import xarray as xr

from ..base.arguments import as_list, as_share
from ..base.errors import InputError, quoted
from ..scoring.jackknife import over_networks
from ..scoring.kinds import check_kind

__all__ = ["claims"]

_SOME = 0.1  # share of the units that is shared, and that is not, at least
_SPAN = 0.5**0.5  # canonical correlation of a shared subspace, at least
_OTHER_AXES = 0.1  # by which single units match worse than the subspace, at least
_ANY = 1e-9  # by which soft matching of units exceeds that of rotations, at least
_MORE_THAN_ONE = 0.02  # by which the r of few units exceeds that of one, at least
_FEW = 0.5  # on the scale from one unit (0) to all (1): the root of their number, at most
_PREDICTED = 0.1  # r of few units, at least: with less than 1% of the variance there is no code

_PAIRS = "a list of pairs of names, source and target"

_CLAIMS = (
    "some features are reliably shared, and others are not",
    "groups of units share a subspace, but with different bases",
    "the code lies between local and slightly distributed",
)


def _pair(given: object) -> tuple[str, str]:
    """Names of source and target."""
    several = as_list("networks", given, _PAIRS)
    if len(several) != 2 or not all(isinstance(name, str) for name in several):
        raise InputError(f"networks hold {quoted(given)}: give {_PAIRS}.")
    return several[0], several[1]


def claims(
    layers: xr.Dataset | Sequence[xr.Dataset],
    networks: Sequence[tuple[str, str]] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Decide whether each claim of the paper holds.

    Parameters
    ----------
    layers : xarray.Dataset, or sequence of them
        ``layers`` of `overview`, of one pair of networks or of several.
    networks : sequence of tuple of str, optional
        Names of source and target of each pair, such as their seeds. With three networks or more,
        there are intervals for other networks (by jackknife over these), unless one network is in
        every pair.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per claim: ``claim``; ``verdict``; ``numbers``, means over layers and pairs, with
        intervals if there are any. A part of a claim holds if its interval (without one, its mean)
        is beyond the threshold. The verdict is

        - "holds", if all parts hold;
        - "holds partly", if its core holds, and another part does not. The cores are: some units
          are shared; both parts of a cluster span the same subspace; units are predicted, and the
          code is not fully distributed (axes matter, or few units are enough);
        - "does not hold here", if the core does not;
        - "not decided", if the threshold of the core lies in its interval;
        - "cannot be judged", if a number of the core is not defined.

    Raises
    ------
    InputError
        If there are no layers, pairs have different layers, or there are not as many names as
        pairs.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    level = as_share("level", level)
    several: list[Any] = [layers]
    if not isinstance(layers, xr.Dataset):
        several = as_list("layers", layers, "the layers of one overview, or a list of them")
    for one in several:
        check_kind(one, "overview", "features.claims")
    names = [("source", "target")] * len(several)
    if networks is not None:
        names = [_pair(one) for one in as_list("networks", networks, _PAIRS)]
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
    estimates = {name: _Estimate.of(whole, one, level) for name, one in _STATISTICS.items()}
    return pd.DataFrame(
        [
            {"claim": claim, "verdict": _verdict(core, others), "numbers": numbers}
            for claim, (core, others, numbers) in zip(_CLAIMS, _judged(estimates), strict=True)
        ]
    )


_STATISTICS: dict[str, Callable[[xr.Dataset], xr.DataArray]] = {
    "shared": lambda one: one["shared"],
    "not shared": lambda one: one["not_shared"],
    "subspace": lambda one: one["canonical"],
    "axes": lambda one: one["canonical"] - one["matched"],
    "predicted": lambda one: one["predicted"],
    "matched": lambda one: one["matched"],
    "rotations": lambda one: one["native"] - one["rotated"],
    "code": lambda one: one["r_lasso"],
    "few": lambda one: one["r_lasso"] - one["r_single"],
    "scale": lambda one: one["scale_sparse"],
}


@dataclass(frozen=True)
class _Estimate:
    """A mean and its interval, with NaN ends if there is none."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(
        cls, whole: xr.Dataset, statistic: Callable[[xr.Dataset], xr.DataArray], level: float
    ) -> _Estimate:
        """Estimate the mean of a statistic over layers and pairs of networks."""
        found = over_networks(whole, lambda one: statistic(one).mean(), level)
        return cls(*(float(found[name]) for name in ("estimate", "low", "high")))

    def above(self, threshold: float) -> bool | None:
        """Whether the interval, or the mean without one, is at or above a threshold.

        None if the threshold lies in the interval, and if the mean is not defined.
        """
        low, high = (self.mean, self.mean) if math.isnan(self.low) else (self.low, self.high)
        if math.isnan(self.mean) or low < threshold <= high:
            return None
        return low >= threshold

    def below(self, threshold: float) -> bool | None:
        """Whether the interval, or the mean without one, is at or below a threshold."""
        return _Estimate(-self.mean, -self.high, -self.low).above(-threshold)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "(not defined)"
        interval = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.mean:.2f}{interval}"


_Parts = Sequence[tuple[_Estimate, bool | None]]  # numbers, and whether the parts hold


def _judged(of: Mapping[str, _Estimate]) -> list[tuple[_Parts, _Parts, str]]:
    """Core and other parts of each claim, and the numbers in words."""

    def above(name: str, threshold: float) -> tuple[_Estimate, bool | None]:
        return of[name], of[name].above(threshold)

    axes, few = of["rotations"].above(_ANY), of["scale"].below(_FEW)
    either = True if axes or few else None if None in (axes, few) else False
    return [
        (
            [above("shared", _SOME)],
            [above("not shared", _SOME)],
            f"{of['shared']} of the units have a partner that surely explains half of their "
            f"variance; {of['not shared']} surely have none",
        ),
        (
            [above("subspace", _SPAN)],
            [above("axes", _OTHER_AXES)],
            f"canonical correlation of a cluster's parts {of['subspace']}, by {of['axes']} above "
            f"that of its units paired one-to-one; the other part predicts a unit by r "
            f"{of['predicted']}, its partner by {of['matched']}",
        ),
        (
            [above("code", _PREDICTED), (of["scale"], either)],
            [(of["rotations"], axes), (of["scale"], few), above("few", _MORE_THAN_ONE)],
            f"few units predict a unit by r {of['code']}, by {of['few']} better than one; "
            f"effective number of them {of['scale']} on the scale from one (0) to all (1); soft "
            f"matching of units is {of['rotations']} above that of rotations",
        ),
    ]


def _verdict(core: _Parts, others: _Parts) -> str:
    if any(math.isnan(number.mean) for number, _ in core):
        return "cannot be judged"
    held = [part for _, part in core]
    if False in held:
        return "does not hold here"
    if None in held:
        return "not decided"
    return "holds" if all(part for _, part in others) else "holds partly"
