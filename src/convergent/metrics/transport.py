"""Optimal transport of units on units: exact, with a certificate, and without the full matrix.

A linear programme over all p x q pairs of units has an optimal plan that uses fewer than p + q of
them. So it is solved on few candidates, and its dual prices tell which of all other pairs would
gain: those are added, and it is solved again, until no pair would gain. Correlations of all pairs
are made in single precision, block by block, with a bound on their error; those of pairs that this
bound leaves in doubt are made again in double precision, so that the plan is exact.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Protocol

import array_api_compat as array_api
import numpy as np
import ot
import scipy.sparse
from numpy.typing import NDArray

from ..devices import single_is_exact
from ..population import Array, to_numpy

__all__ = ["Columns", "Plan", "transport_plan"]

GROUPS = 6  # the best partner of a unit in each of so many groups is a candidate
ADDED = 8  # pairs of one unit that are added in a round, at most
BLOCK_PAIRS = 2**20  # correlations looked at in one go: they stay in the cache
MADE_PAIRS = 2**23  # made in one go where they are not kept: products of larger blocks are faster
HELD_BYTES = 512 * 2**20  # smaller matrices of correlations are kept, larger ones made anew
DOUBTFUL = 1 / 32  # of a block: above, it is made in double precision as a whole
TOLERANCE = 1e-9  # of a correlation: a left-out pair that would gain less is no violation
JITTER = 1e-6  # of a correlation: pairs that tie are taken in random order
LARGEST_VIOLATION = 1e-8
ROUNDS = 200  # rounding keeps prices from closing where this is not enough

Integers = NDArray[np.intp]
Floats = NDArray[np.float64]


class Columns(Protocol):
    """Units read a block at a time: centred responses of norm 1."""

    @property
    def shape(self) -> tuple[int, int]:
        """Stimuli, units."""

    def block(self, units: slice) -> Array:
        """Float64 responses (n, b) of some units."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which units were matched, and how much.

    Attributes
    ----------
    source, target : int arrays (k,)
        The units of each pair.
    mass : float array (k,)
        Share of each pair; all shares sum to 1.
    violation : float
        Certificate: how much correlation the best pair left out would still gain, or the pairs of
        the plan lose on average; the plan is optimal where this is no more than rounding error.
    rounds : int
        How often all pairs were priced.
    pairs : int
        How many of the p x q pairs the linear programme was given.
    """

    source: Integers
    target: Integers
    mass: Floats
    violation: float
    rounds: int
    pairs: int

    def swapped(self) -> Plan:
        """The plan with source and target exchanged, sorted again."""
        order = np.lexsort((self.source, self.target))
        return replace(
            self,
            source=self.target[order],
            target=self.source[order],
            mass=self.mass[order],
        )


def transport_plan(x: Array | Columns, y: Array) -> Plan:
    r"""Matching of units with the greatest total correlation, exact.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} \, x_i \cdot y_j
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    Where p = q the plan is a permutation.

    Parameters
    ----------
    x : array (n, p), or `Columns`
        Source units, centred and of norm 1, so that products are correlations. `Columns` are read
        again in every round, and are no fewer than the target's.
    y : array (n, q)
        Target units, likewise.

    Returns
    -------
    Plan
        Pairs and their shares, with the certificate that no other pair would gain.

    Raises
    ------
    RuntimeError
        Where the transport solver gives up.

    Warns
    -----
    UserWarning
        Where rounding keeps the plan from being the best.

    References
    ----------
    Bonneel, van de Panne, Paris and Heidrich 2011 (network simplex, as POT has it); Dantzig and
    Wolfe 1960, Operations Research 8 (pricing of columns left out).
    """
    p, q = int(x.shape[1]), int(y.shape[1])
    if p < q and not hasattr(x, "block"):  # rounds add a few pairs of each source unit
        return transport_plan(y, x).swapped()
    if not q:
        nobody = np.zeros(0, dtype=np.intp)
        return Plan(nobody, nobody, np.zeros(0), 0.0, 0, 0)
    alike = _Correlations(x, y)
    known = _Candidates(q, *_first_candidates(alike))
    # whole numbers as masses: sums are exact, and equal counts give a permutation
    common = gcd(p, q)
    supply, demand = np.full(p, q / common), np.full(q, p / common)
    rng = np.random.default_rng(0)
    rounds, closed, least = 0, False, np.inf
    while not closed and rounds < ROUNDS:
        rounds += 1
        flow, prices = _solve(supply, demand, known.costs((p, q)))
        carrying = flow.row.astype(np.intp) * q + flow.col
        gaining, violation = _price(alike, prices, known, rng)
        if violation < least / 2:  # so seldom that no pair can come and go for ever
            known.forget(prices, -max(violation, TOLERANCE), carrying)
            least = violation
        wanted = np.union1d(gaining, carrying)
        wanted = wanted[~known.exactly(wanted)]
        known.take_in(wanted, alike.pairs(wanted))
        closed = not len(wanted)
    mass = flow.data / flow.data.sum()
    # the plan is best for prices under which its own pairs neither gain nor lose
    violation = max(violation, float(mass @ np.abs(known.gains(prices, carrying))))
    if violation > LARGEST_VIOLATION:
        warnings.warn(
            f"the matching of {p} with {q} units is not the best: a pair that was left out would "
            f"still gain a correlation of {violation:.1e}, which rounding kept from being found.",
            stacklevel=2,
        )
    return Plan(carrying // q, carrying % q, mass, violation, rounds, len(known.pairs))


Prices = tuple[Floats, Floats]  # of each source and each target unit


class _Correlations:
    """Correlations of all pairs, a block of source units at a time."""

    def __init__(self, x: Array | Columns, y: Array) -> None:
        self.n, self.p, self.q = (*map(int, x.shape), int(y.shape[1]))
        self._x, self._y = x, _single(y)  # double where single precision would not be exact
        self._y_rows = np.ascontiguousarray(to_numpy(y).T, dtype=np.float64)
        held = 4 * self.p * self.q <= HELD_BYTES
        pairs = BLOCK_PAIRS if held else MADE_PAIRS
        rows = max(1, min(pairs // self.q, -(-self.p // GROUPS)))
        self._blocks = [slice(i, min(i + rows, self.p)) for i in range(0, self.p, rows)]
        self._held = [self._make(rows) for rows in self._blocks] if held else None
        # of float32 sums of n products of vectors of norm 1, whatever their order
        self.error = 1.01 * (self.n + 3) * 2.0**-24

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[tuple[slice, Array]]:
        """Blocks (b, q) in single precision."""
        for k, rows in enumerate(self._blocks):
            yield rows, self._make(rows) if self._held is None else self._held[k]

    def pairs(self, pairs: Integers) -> Floats:
        """Correlations in double precision of some pairs, which are sorted."""
        ends = np.searchsorted(pairs, [rows.stop * self.q for rows in self._blocks])
        parts = np.split(pairs, ends[:-1])
        return np.concatenate(
            [
                self.pairs_of_block(rows, part - rows.start * self.q)
                for rows, part in zip(self._blocks, parts, strict=True)
                if len(part)
            ]
            or [np.zeros(0)]
        )

    def pairs_of_block(self, rows: slice, pairs: Integers) -> Floats:
        """The same for pairs of one block, whose source units are counted from its first."""
        source, target = np.divmod(pairs, self.q)
        used, source = np.unique(source, return_inverse=True)
        x = np.ascontiguousarray(to_numpy(self._units(rows)[:, used]).T)
        values = np.empty(len(pairs))
        step = max(1, 2**20 // self.n)
        for start in range(0, len(pairs), step):
            part = slice(start, start + step)
            values[part] = np.einsum("ij,ij->i", x[source[part]], self._y_rows[target[part]])
        return values

    def exact_block(self, rows: slice) -> Floats:
        """Correlations (b, q) in double precision."""
        return np.asarray(to_numpy(self._units(rows)).T @ self._y_rows.T)

    def _make(self, rows: slice) -> Array:
        block = self._units(rows)
        xp = array_api.array_namespace(block)
        return xp.matrix_transpose(_single(block)) @ self._y

    def _units(self, rows: slice) -> Array:
        streamed = hasattr(self._x, "block")
        return self._x.block(rows) if streamed else self._x[:, rows]  # type: ignore[index]


class _Candidates:
    """The pairs that the linear programme is given, sorted, and what is known of each."""

    def __init__(self, q: int, pairs: Integers, values: Floats) -> None:
        self.q, self.pairs, self.values = q, pairs, values
        self.exact = np.zeros(len(pairs), dtype=bool)

    def costs(self, shape: tuple[int, int]) -> Any:
        """One less correlation, as the solver wants it."""
        return scipy.sparse.coo_array((1 - self.values, np.divmod(self.pairs, self.q)), shape=shape)

    def gains(self, prices: Prices, pairs: Integers | None = None) -> Floats:
        """What each pair gains, or each of some."""
        place = slice(None) if pairs is None else self._find(pairs)[0]
        source, target = np.divmod(self.pairs[place], self.q)
        return self.values[place] + prices[0][source] + prices[1][target]

    def has(self, pairs: Integers) -> NDArray[np.bool_]:
        """Which pairs are among the candidates."""
        return self._find(pairs)[1]

    def exactly(self, pairs: Integers) -> NDArray[np.bool_]:
        """Which pairs are among the candidates with their correlation in double precision."""
        place, there = self._find(pairs)
        there[there] = self.exact[place[there]]
        return there

    def forget(self, prices: Prices, least: float, needed: Integers) -> None:
        """Leave out pairs that gain less, but for those of a plan that is feasible."""
        keep = self.gains(prices) >= least
        keep[self._find(needed)[0]] = True
        self.pairs, self.values = self.pairs[keep], self.values[keep]
        self.exact = self.exact[keep]

    def take_in(self, pairs: Integers, values: Floats) -> None:
        """Add pairs, or replace what is known of them, with correlations in double precision."""
        place, there = self._find(pairs)
        self.values[place[there]], self.exact[place[there]] = values[there], True
        at = place[~there]
        self.pairs = np.insert(self.pairs, at, pairs[~there])
        self.values = np.insert(self.values, at, values[~there])
        self.exact = np.insert(self.exact, at, True)

    def _find(self, pairs: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Where pairs stand, or would stand, and whether they are there."""
        place = np.searchsorted(self.pairs, pairs)
        return place, self.pairs[np.minimum(place, len(self.pairs) - 1)] == pairs


def _solve(supply: Floats, demand: Floats, costs: Any) -> tuple[Any, Prices]:
    """Cheapest plan by the network simplex; a pair gains its correlation plus both dual prices."""
    plan, log = ot.emd(supply, demand, costs, numItermax=10**9, log=True, center_dual=False)
    if log["warning"]:
        raise RuntimeError(f"the transport solver gave up: {log['warning']}")
    shift = log["v"].mean()  # only sums of prices matter, and small ones are rounded less
    return plan.tocsr().tocoo(), (log["u"] - 1 + shift, log["v"] - shift)


def _first_candidates(alike: _Correlations) -> tuple[Integers, Floats]:
    """Good partners of each unit, and the pairs of a plan that is feasible, with correlations.

    Some units correlate with all others more than their peers do, and not all can have these. So
    what counts is how far a correlation lies above what is usual for the best of its partner.
    """
    p, q = alike.p, alike.q
    first = _best_of_groups(alike, (np.zeros(p), np.zeros(q)))
    usual = [_mean_of_each(unit, first[2], size) for unit, size in zip(first, (p, q), strict=False)]
    second = _best_of_groups(alike, (-usual[0], -usual[1]))
    source, target, value = (np.concatenate(both) for both in zip(first, second, strict=True))
    corner = _corner_plan(p, q)
    pairs = np.concatenate([source * q + target, corner])
    value = np.concatenate([value, np.zeros(len(corner))])  # looked at if they turn out to matter
    pairs, place = np.unique(pairs, return_index=True)
    return pairs, value[place]


def _best_of_groups(alike: _Correlations, prices: Prices) -> tuple[Integers, Integers, Floats]:
    """Best partner of each unit in each of several groups, and its correlation.

    It takes one pass over all pairs, and the best of all is among them.
    """
    q = alike.q
    width = -(-q // GROUPS)
    partner = np.zeros((GROUPS, q), dtype=np.intp)
    most = np.full((GROUPS, q), -np.inf, dtype=np.float32)
    source, target, values = [], [], []
    for k, (rows, value) in enumerate(alike):
        xp = array_api.array_namespace(value)
        wanted = value + _like(value, prices[1])
        row = np.arange(value.shape[0])
        for start in range(0, q, width):
            part = wanted[:, start : start + width]
            source.append(row + rows.start)
            target.append(start + to_numpy(xp.argmax(part, axis=1)))
            values.append(to_numpy(xp.max(part, axis=1)) - prices[1][target[-1]])
        wanted = value + _like(value, prices[0][rows])[:, None]
        best, row = to_numpy(xp.max(wanted, axis=0)), to_numpy(xp.argmax(wanted, axis=0))
        group = k * GROUPS // len(alike)
        better = best > most[group]
        most[group, better], partner[group, better] = best[better], row[better] + rows.start
    found = np.nonzero(most > -np.inf)
    source.append(partner[found])
    target.append(found[1])
    values.append(most[found] - prices[0][source[-1]])
    return np.concatenate(source), np.concatenate(target), np.concatenate(values).astype(np.float64)


def _mean_of_each(unit: NDArray[Any], values: Floats, size: int) -> Floats:
    return np.bincount(unit, values, minlength=size) / np.maximum(
        np.bincount(unit, minlength=size), 1
    )


def _corner_plan(p: int, q: int) -> Integers:
    """Pairs of the plan that fills units in order (the north-west corner rule): always feasible."""
    starts = np.union1d(np.arange(p) * q, np.arange(q) * p)
    return (starts // q) * q + starts // p


def _price(
    alike: _Correlations, prices: Prices, known: _Candidates, rng: np.random.Generator
) -> tuple[Integers, float]:
    """Pairs that gain most, a few of each source unit, and how much the best of all gains.

    Single precision finds those that gain beyond doubt. Where there is none, those that the bound
    on its error leaves in doubt are made in double precision: no other can gain.
    """
    scale = 1 + max(np.abs(prices[0]).max(), np.abs(prices[1]).max())
    margin = alike.error + 4 * scale * 2.0**-24
    pairs, violation = _gaining(alike, prices, margin, None, rng)
    if not len(pairs):
        pairs, violation = _gaining(alike, prices, -margin, known, rng)
        violation = max(violation, float(known.gains(prices)[known.exact].max(initial=0.0)))
    return pairs, violation


def _gaining(
    alike: _Correlations,
    prices: Prices,
    least: float,
    in_doubt: _Candidates | None,
    rng: np.random.Generator,
) -> tuple[Integers, float]:
    """Pairs that gain at least so much, a few of each source unit, and the greatest gain.

    Those in doubt are made in double precision, but where the candidates hold them so already.
    """
    pairs, violation = [np.zeros(0, dtype=np.intp)], 0.0
    for rows, value in alike:
        gain = value + _like(value, prices[1])
        gain += _like(value, prices[0][rows])[:, None]
        xp = array_api.array_namespace(gain)
        flat = xp.reshape(gain, (-1,))
        found = xp.nonzero(flat > least)[0]
        near, gains = to_numpy(found), to_numpy(xp.take(flat, found)).astype(np.float64)
        if in_doubt is not None:
            near, gains = _in_double(alike, rows, near, prices, in_doubt)
        if len(near):
            violation = max(violation, float(gains.max()))
            best = _best_of_each(near // alike.q, gains + JITTER * rng.random(len(gains)))
            near = near + rows.start * alike.q
            if in_doubt is not None:  # all candidates that matter are made exact at once
                best = np.union1d(best, np.flatnonzero(in_doubt.has(near)))
            pairs.append(near[best])
    return np.concatenate(pairs), violation


def _in_double(
    alike: _Correlations, rows: slice, near: Integers, prices: Prices, known: _Candidates
) -> tuple[Integers, Floats]:
    """Those pairs of a block that gain in double precision, or are candidates, and how much."""
    first = rows.start * alike.q
    row_price, column_price = prices[0][rows], prices[1]
    if len(near) > DOUBTFUL * len(row_price) * alike.q:
        gains = (alike.exact_block(rows) + column_price + row_price[:, None]).ravel()[near]
    else:
        near = near[~known.exactly(near + first)]
        if not len(near):
            return near, np.zeros(0)
        source, target = np.divmod(near, alike.q)
        gains = alike.pairs_of_block(rows, near) + row_price[source] + column_price[target]
    matter = (gains > TOLERANCE) | known.has(near + first)
    return near[matter], gains[matter]


def _best_of_each(unit: Integers, gains: Floats) -> Integers:
    """Positions of those that gain most, a few of each unit, in order."""
    order = np.lexsort((-gains, unit))
    first = np.flatnonzero(np.diff(unit[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return np.sort(order[rank < ADDED])


def _single(values: Array) -> Array:
    xp = array_api.array_namespace(values)
    return xp.astype(values, xp.float32) if single_is_exact(values) else values


def _like(value: Array, numbers: Floats) -> Array:
    """Numbers in single precision, where the correlations are."""
    xp = array_api.array_namespace(value)
    return xp.asarray(numbers.astype(np.float32), device=array_api.device(value))
