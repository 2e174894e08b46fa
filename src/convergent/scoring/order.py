"""Order of stimuli: places in time, and responses that change slowly along it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers, is_silent
from ..base.errors import InputError, unknown, warn
from ..data.assembly import Assembly
from ..data.assembly_checks import read_values
from ..protocol.settings import Protocol

__all__ = ["places_of", "warn_of_order"]

# Numeric labels of stimuli that may tell when they were shown
_LABELS = ("time", "onset", "order", "trial", "run", "block", "session")
_UNITS = 64  # enough of a population to see whether it changes slowly
_FEWEST = 20  # stimuli (or groups), with fewer nothing can be said
_SURE = 5.0  # standard errors: chance does not go so far in thousands of populations
_MUCH = 0.1  # least mean cosine of neighbours that matters


def places_of(order: str | None, assemblies: Sequence[Assembly]) -> Integers | None:
    """Find the position of each stimulus in an order.

    Parameters
    ----------
    order : str or None
        A numeric coordinate along ``stimulus``, or ``"name"``: names are sorted, and the numbers in
        them count as numbers. None without an order.
    assemblies : sequence of Assembly
        Populations with the same stimuli in the same order.

    Returns
    -------
    int array (n,) or None
        Position of each stimulus, counted from 0.

    Raises
    ------
    InputError
        If there is no such coordinate, or it is not numeric.
    """
    if order is None:
        return None
    known = _numbers(assemblies)
    if order != "name" and order not in known:
        for assembly in assemblies:
            if order in assembly.data.coords and assembly.data[order].dims == ("stimulus",):
                raise InputError(
                    f"the label {order!r} of stimuli is not numeric, or lacks numbers: give times "
                    "or positions as numbers, or order='name'."
                )
        raise unknown("numeric coordinate along 'stimulus'", order, ["name", *known])
    if order != "name":
        return _ranks(np.argsort(known[order], kind="stable"))
    keys = [_natural(str(name)) for name in assemblies[0].stimuli]
    return _ranks(np.array(sorted(range(len(keys)), key=keys.__getitem__)))


def warn_of_order(
    sources: Mapping[Any, Assembly],
    targets: Mapping[Any, Assembly],
    protocol: Protocol,
    groups: NDArray[Any] | None,
) -> bool:
    """Warn if responses of both sides change slowly along an order of the stimuli.

    Neighbours are then alike. Test stimuli that are drawn at random are predicted from their
    neighbours in time, and shuffles, which have none, score far lower than unrelated populations.

    Parameters
    ----------
    sources, targets : dict of Assembly
        Populations with the same stimuli in the same order. Up to 64 units of each are read.
    protocol : Protocol
        Folds and shuffle; nothing is tested if they follow an order.
    groups : array (n,) or None
        Group of each stimulus. Groups, which are in one fold, are tested in place of stimuli.

    Returns
    -------
    bool
        Whether there was a warning.
    """
    circular = protocol.shuffle is None or protocol.shuffle.kind == "circular"
    if protocol.folds.order is not None and circular:
        return False
    for label, order in _orders([*sources.values(), *targets.values()]).items():
        found = []
        for side in (targets, sources):
            slow = (name for name, one in side.items() if _is_slow(_sample(one), order, groups))
            found.append(next(slow, None))
            if found[-1] is None:
                break
        else:
            _warn(label, found[1], found[0], protocol)
            return True
    return False


def _warn(label: str, source: Any, target: Any, protocol: Protocol) -> None:
    """Say what was found, and what to do about folds and shuffles."""
    along = "their names" if label == "name" else f"the label {label!r}"
    folds = f"folds=Folds({protocol.folds.n}, order={label!r})"
    wrong, mend = [], []
    if protocol.folds.order is None:
        wrong.append("folds that are drawn at random predict stimuli from their neighbours")
        mend.append(f"contiguous folds, {folds}")
    if protocol.shuffle is not None:
        wrong.append("random shuffles make p far too small")
        mend.append("circular shifts, shuffle=Shuffle(kind='circular')")
    if protocol.bootstrap is not None:
        wrong.append("resamples of single stimuli make intervals too narrow")
    warn(
        f"responses to stimuli that follow each other in the order of {along} are alike, in source "
        f"{str(source)!r} and in target {str(target)!r}: {', and '.join(wrong)}. If this is an "
        f"order in time, use {' and '.join(mend)}. If neighbours are alike because they are of one "
        "category, film or photo, keep these together: Folds(group=...) does so in folds, shuffles "
        "and resamples."
    )


def _orders(assemblies: Sequence[Assembly]) -> dict[str, Integers]:
    """Stimuli in each of the orders that they may have been shown in, by its name."""
    by_name = places_of("name", assemblies)
    found = {"name": np.argsort(np.zeros(0) if by_name is None else by_name)}
    for label in _numbers(assemblies):
        if label in _LABELS:
            # numbers that tie are left in the order of names
            order = found["name"]
            values = _numbers(assemblies)[label][order]
            found[label] = order[np.argsort(values, kind="stable")]
    return {
        label: order
        for label, order in found.items()
        if label == "name" or not np.array_equal(order, found["name"])
    }


def _numbers(assemblies: Sequence[Assembly]) -> dict[str, NDArray[Any]]:
    """Labels of stimuli that are complete numbers or times, of the first population that has it."""
    found: dict[str, NDArray[Any]] = {}
    for assembly in assemblies:
        for label, values in assembly.data.coords.items():
            numeric = values.dims == ("stimulus",) and values.dtype.kind in "iufmM"
            if numeric and str(label) not in found and not np.isnan(values.values).any():
                found[str(label)] = values.values
    return found


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Key that sorts names as people do: ``t2`` before ``t10``."""
    parts: Iterator[str] = (part for part in re.split(r"([0-9]+)", name) if part)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _ranks(order: Integers) -> Integers:
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order))
    return ranks


def _sample(assembly: Assembly) -> Floats:
    """Mean responses of some units, each with mean 0 and variance 1; silent ones are left out."""
    data = assembly.data
    width = data.sizes["unit"]
    if data.chunks is not None:  # units of one chunk, so that little is read
        width = data.chunks[data.get_axis_num("unit")][0]
    chosen = data.isel(unit=np.unique(np.linspace(0, width - 1, min(width, _UNITS)).astype(int)))
    # infinite values are refused later, where all are read
    with dask.config.set(scheduler="threads"), np.errstate(invalid="ignore", over="ignore"):
        if "repeat" in chosen.dims:
            chosen = chosen.mean("repeat", dtype=np.float64)
        values = read_values(chosen.transpose("stimulus", "unit")).astype(np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    values = values[:, ~is_silent(values)]
    centred = values - values.mean(axis=0)
    centred = centred / np.abs(centred).max(axis=0)  # squares of very small numbers are 0
    return np.asarray(centred / centred.std(axis=0))


def _is_slow(values: Floats, order: Integers, groups: NDArray[Any] | None) -> bool:
    """Whether neighbours are alike, by far more than in a random order.

    The statistic is the sum of the cosines of the responses to stimuli that follow each other. Its
    mean and variance over all orders are exact.
    """
    values = values[order]
    if groups is not None:
        _, first, member = np.unique(groups[order], return_index=True, return_inverse=True)
        member = _ranks(np.argsort(first))[member]
        sums = np.zeros((len(first), values.shape[1]))
        np.add.at(sums, member, values)
        values = sums / np.bincount(member)[:, None]
    n = len(values)
    if n < _FEWEST or not values.shape[1]:
        return False
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    x = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    square = (x**2).sum(axis=1)
    alike = float((x[1:] * x[:-1]).sum())
    row = x @ x.sum(axis=0) - square  # sums of the cosines with all others
    one, two = row.sum(), ((x.T @ x) ** 2).sum() - (square**2).sum()
    mean = one / n
    # pairs of neighbouring pairs: the same one, those that share a stimulus, all others
    same = two / n
    chained = 2 * ((row**2).sum() - two) / (n * (n - 1))
    apart = (one**2 - 4 * (row**2).sum() + 2 * two) / (n * (n - 1))
    variance = max(same + chained + apart - mean**2, 1e-12)
    return bool(alike - mean > max(_SURE * variance**0.5, _MUCH * (n - 1)))
