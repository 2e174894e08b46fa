"""Optimal transport by column generation: exact, with a certificate, without the full matrix.

A linear programme over all p x q pairs of units has an optimal plan that uses fewer than p + q of
them. So it is first solved on few candidate pairs. Its dual prices say which of all other pairs
would improve the plan; those are added and it is solved again, until no pair would. Correlations
of all pairs are computed in single precision, block by block, with a bound on their error. Where
this bound leaves a doubt about a pair, its correlation is computed in double precision, so that
the plan is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Protocol

import array_api_compat as array_api
import numpy as np
import ot
import scipy.sparse
from numpy.typing import NDArray

from ..base.arrays import Array, Floats, Integers, to_numpy
from ..base.devices import single_is_exact
from ..base.errors import warn

__all__ = [
    "BLOCK_PAIRS",
    "GROUPS",
    "HELD_BYTES",
    "LARGEST_VIOLATION",
    "MADE_PAIRS",
    "ROUNDS",
    "WHOLE_PAIRS",
    "Columns",
    "Plan",
    "optimal_plan",
]

WHOLE_PAIRS = 2**16  # up to this many, all pairs are given to the solver at once
GROUPS = 6  # the best partner of a unit in each of so many groups is a candidate
_ADDED = 8  # pairs of one unit that are added in a round, at most
BLOCK_PAIRS = 2**20  # correlations examined in one go: they stay in the processor's cache
MADE_PAIRS = 2**23  # computed in one go if not held in memory: products of larger blocks are faster
HELD_BYTES = 512 * 2**20  # smaller matrices of correlations stay in memory
_DOUBTFUL = 1 / 32  # of a block: above, the whole block is computed in double precision
_TOLERANCE = 1e-9  # of a correlation: a pair that would gain less is no violation
_JITTER = 1e-6  # of a correlation: pairs that tie are taken in random order
LARGEST_VIOLATION = 1e-8
ROUNDS = 200  # where these are not enough, rounding prevents the prices from settling


class Columns(Protocol):
    """Units that are read a block at a time, as centred responses of norm 1."""

    @property
    def shape(self) -> tuple[int, int]:
        """Stimuli, units."""

    def block(self, units: slice) -> Array:
        """Float64 responses (n, b) of some units."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A matching of source units with target units, and the proof that it is optimal.

    Attributes
    ----------
    source, target : int arrays (k,)
        Positions of the two units of each pair.
    mass : float array (k,)
        Share of each pair; all shares sum to 1.
    violation : float
        Certificate of optimality: by how much correlation the plan could still improve, through
        the best pair outside the linear programme or through its own pairs. The plan is optimal
        where this is no more than rounding error.
    rounds : int
        How often all pairs were priced.
    pairs : int
        How many of the p x q pairs were given to the linear programme.
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


def optimal_plan(x: Array | Columns, y: Array) -> Plan:
    r"""Match units so that the total correlation is greatest, exactly.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} \, x_i \cdot y_j
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    Where p = q the plan is a permutation.

    Parameters
    ----------
    x : array (n, p), or `Columns`
        Source units, centred and of norm 1, so that products are correlations. `Columns` are read
        again in every round, and must be at least as many as the target units.
    y : array (n, q)
        Target units, likewise.

    Returns
    -------
    Plan
        Pairs and their shares, with the certificate that no other pair would improve the total.

    Raises
    ------
    RuntimeError
        If the transport solver fails.

    Warns
    -----
    UserWarning
        If rounding error prevents the plan from being optimal.

    References
    ----------
    Bonneel, van de Panne, Paris and Heidrich 2011, ACM Transactions on Graphics 30 (network
    simplex, as in POT); Dantzig and Wolfe 1960, Operations Research 8 (column generation).
    """
    p, q = int(x.shape[1]), int(y.shape[1])
    if p < q and not hasattr(x, "block"):  # rounds add a few pairs of each source unit
        return optimal_plan(y, x).swapped()
    if not q:
        none = np.zeros(0, dtype=np.intp)
        return Plan(none, none, np.zeros(0), 0.0, 0, 0)
    # whole numbers as masses: sums are exact, and equal counts give a permutation
    masses = np.full(p, q / gcd(p, q)), np.full(q, p / gcd(p, q))
    solve = _with_all_pairs if p * q <= WHOLE_PAIRS else _with_few_pairs
    flow, prices, known, violation, rounds = solve(x, y, masses)
    carrying = flow.row.astype(np.intp) * q + flow.col
    mass = flow.data / flow.data.sum()
    # the plan is optimal for prices under which its own pairs neither gain nor lose
    violation = max(violation, float(mass @ np.abs(known.gains(prices, carrying))))
    if violation > LARGEST_VIOLATION:
        warn(
            f"the matching of {p} with {q} units is not the best: another pair would still gain a "
            f"correlation of {violation:.1e}, which rounding error prevents. Totals can be too low "
            "by as much."
        )
    return Plan(carrying // q, carrying % q, mass, violation, rounds, len(known.pairs))


_Prices = tuple[Floats, Floats]  # of each source and each target unit
# plan, prices, candidates, the greatest gain that is left, and the number of rounds
_Solved = tuple[Any, _Prices, "_Candidates", float, int]


def _with_all_pairs(x: Array | Columns, y: Array, masses: tuple[Floats, Floats]) -> _Solved:
    """Solve once with all pairs, where these are few."""
    p, q = map(len, masses)
    every: Array = x.block(slice(0, p)) if hasattr(x, "block") else x
    known = _Candidates(q, np.arange(p * q), np.asarray(to_numpy(every.T @ y)).ravel())
    flow, prices = _solve(masses, known, (np.full(p, -1.0), np.zeros(q)))
    return flow, prices, known, float(known.gains(prices).max(initial=0.0)), 1


def _with_few_pairs(x: Array | Columns, y: Array, masses: tuple[Floats, Floats]) -> _Solved:
    """Solve with few pairs, add others that would gain, and repeat until there are none."""
    alike = _Correlations(x, y)
    known = _Candidates(alike.q, *_first_candidates(alike))
    rng = np.random.default_rng(0)
    prices = np.full(alike.p, -1.0), np.zeros(alike.q)
    rounds, closed, least = 0, False, np.inf
    while not closed and rounds < ROUNDS:
        rounds += 1
        flow, prices = _solve(masses, known, prices)
        carrying = flow.row.astype(np.intp) * alike.q + flow.col
        # single precision finds pairs that gain beyond doubt; where there is none, those that its
        # error leaves in doubt are computed in double precision: no other can gain
        scale = 1 + max(np.abs(prices[0]).max(), np.abs(prices[1]).max())
        margin = alike.error + 4 * scale * 2.0**-24
        found, values, violation = _gaining(alike, prices, margin, rng)
        single = len(found) > 0
        if not single:
            found, values, violation = _in_doubt(alike, prices, margin, known, carrying, rng)
            violation = max(violation, float(known.gains(prices)[known.exact].max(initial=0.0)))
            closed = not len(found)
        if violation < least / 2:  # so seldom that no pair can come and go without end
            known.forget(prices, -max(violation, _TOLERANCE), carrying)
            least = violation
        known.take_in(found, values, exact=not single)
    return flow, prices, known, violation, rounds


class _Correlations:
    """Correlations of all pairs of units, a block of source units at a time."""

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

    def in_double(self, rows: slice, pairs: Integers) -> Floats:
        """Compute correlations of pairs of a block in double precision; counted from its first."""
        units = to_numpy(self._units(rows)).T
        if len(pairs) > _DOUBTFUL * len(units) * self.q:
            return np.asarray((units @ self._y_rows.T).ravel()[pairs])
        source, target = np.divmod(pairs, self.q)
        used, source = np.unique(source, return_inverse=True)
        x = np.ascontiguousarray(units[used])
        values = np.empty(len(pairs))
        step = max(1, 2**20 // self.n)
        for start in range(0, len(pairs), step):
            part = slice(start, start + step)
            values[part] = np.einsum("ij,ij->i", x[source[part]], self._y_rows[target[part]])
        return values

    def _make(self, rows: slice) -> Array:
        block = self._units(rows)
        xp = array_api.array_namespace(block)
        return xp.matrix_transpose(_single(block)) @ self._y

    def _units(self, rows: slice) -> Array:
        streamed = hasattr(self._x, "block")
        return self._x.block(rows) if streamed else self._x[:, rows]  # type: ignore[index]


class _Candidates:
    """The pairs given to the linear programme, sorted, and their correlations."""

    def __init__(self, q: int, pairs: Integers, values: Floats) -> None:
        self.q, self.pairs, self.values = q, pairs, values
        self.exact = np.zeros(len(pairs), dtype=bool)

    def gains(self, prices: _Prices, pairs: Integers | None = None) -> Floats:
        """What each pair would gain, or each of some: its correlation plus its dual prices."""
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

    def forget(self, prices: _Prices, least: float, needed: Integers) -> None:
        """Remove pairs that gain less than this, except those that a feasible plan needs."""
        keep = self.gains(prices) >= least
        keep[self._find(needed)[0]] = True
        self.pairs, self.values = self.pairs[keep], self.values[keep]
        self.exact = self.exact[keep]

    def take_in(self, pairs: Integers, values: Floats, exact: bool) -> None:
        """Add pairs, or replace their correlations; exact ones are in double precision."""
        place, there = self._find(pairs)
        self.values[place[there]], self.exact[place[there]] = values[there], exact
        at = place[~there]
        self.pairs = np.insert(self.pairs, at, pairs[~there])
        self.values = np.insert(self.values, at, values[~there])
        self.exact = np.insert(self.exact, at, exact)

    def _find(self, pairs: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Place of each pair in the sorted list, and whether it is there."""
        place = np.searchsorted(self.pairs, pairs)
        return place, self.pairs[np.minimum(place, len(self.pairs) - 1)] == pairs


def _solve(
    masses: tuple[Floats, Floats], known: _Candidates, prices: _Prices
) -> tuple[Any, _Prices]:
    """Find the best plan by the network simplex.

    The solver starts from prices of zero. So the cost of a pair is what it loses under the last
    prices: this changes no optimal plan, and plans near the last one are tried first.
    """
    costs = scipy.sparse.coo_array(
        (-known.gains(prices), np.divmod(known.pairs, known.q)), shape=tuple(map(len, masses))
    )
    plan, log = ot.emd(*masses, costs, numItermax=10**9, log=True, center_dual=False)
    if log["warning"]:
        raise RuntimeError(f"the transport solver failed: {log['warning']}")
    source, target = prices[0] + log["u"], prices[1] + log["v"]
    shift = target.mean()  # only sums of prices matter, and small prices are rounded less
    return plan.tocsr().tocoo(), (source + shift, target - shift)


def _first_candidates(alike: _Correlations) -> tuple[Integers, Floats]:
    """Good partners of each unit, and the pairs of a feasible plan, with their correlations.

    Some units correlate with all others more than their peers do, but each can be the partner of
    few. So partners are ranked by how far a correlation lies above the usual best correlation of
    the partner. The first of each of several groups of partners is a candidate.
    """
    q = alike.q
    usual = _usual_best(alike)
    corner = np.divmod(_corner_plan(alike.p, q), q)
    partner = np.zeros((GROUPS, q), dtype=np.intp)
    most, its_value = np.full((2, GROUPS, q), -np.inf, dtype=np.float32)
    columns = np.arange(q)
    pairs, values = [], []
    for k, (rows, value) in enumerate(alike):
        xp = array_api.array_namespace(value)
        # of each source unit
        wanted = value - _like(value, usual[1])
        best = [part.start + to_numpy(xp.argmax(wanted[:, part], axis=1)) for part in _groups(q)]
        inside = slice(*np.searchsorted(corner[0], [rows.start, rows.stop]))
        row = [np.tile(np.arange(len(value)), len(best)), corner[0][inside] - rows.start]
        place = np.concatenate(row), np.concatenate([*best, corner[1][inside]])
        pairs.append((place[0] + rows.start) * q + place[1])
        values.append(to_numpy(value[place]))
        # of each target unit, over the blocks of a group
        wanted = value - _like(value, usual[0][rows])[:, None]
        place = to_numpy(xp.argmax(wanted, axis=0)), columns
        gain, group = to_numpy(wanted[place]), k * GROUPS // len(alike)
        better = gain > most[group]
        most[group, better], partner[group, better] = gain[better], place[0][better] + rows.start
        its_value[group, better] = to_numpy(value[place])[better]
    found = np.nonzero(most > -np.inf)
    pairs.append(partner[found] * q + found[1])
    values.append(its_value[found])
    every, first = np.unique(np.concatenate(pairs), return_index=True)
    return every, np.concatenate(values)[first].astype(np.float64)


def _usual_best(alike: _Correlations) -> tuple[Floats, Floats]:
    """Best correlation of each unit of either side, mean over groups of partners."""
    rows_best = np.zeros(alike.p)
    most = np.full((GROUPS, alike.q), -np.inf)
    for k, (rows, value) in enumerate(alike):
        xp = array_api.array_namespace(value)
        each = [to_numpy(xp.max(value[:, part], axis=1)) for part in _groups(alike.q)]
        rows_best[rows] = np.mean(each, axis=0)
        group = k * GROUPS // len(alike)
        most[group] = np.maximum(most[group], to_numpy(xp.max(value, axis=0)))
    return rows_best, most[most[:, 0] > -np.inf].mean(axis=0)


def _groups(q: int) -> list[slice]:
    """Target units in groups."""
    width = -(-q // GROUPS)
    return [slice(start, min(start + width, q)) for start in range(0, q, width)]


def _corner_plan(p: int, q: int) -> Integers:
    """Pairs of the plan that fills units in order (the north-west corner rule): always feasible."""
    starts = np.union1d(np.arange(p) * q, np.arange(q) * p)
    return (starts // q) * q + starts // p


def _gaining(
    alike: _Correlations, prices: _Prices, margin: float, rng: np.random.Generator
) -> tuple[Integers, Floats, float]:
    """Pairs that gain beyond doubt in single precision, a few of each source unit, in order.

    Returns the pairs, their correlations, and the greatest gain.
    """
    pairs, values, violation = [np.zeros(0, dtype=np.intp)], [np.zeros(0)], 0.0
    for rows, value in alike:
        row, column = _above(value, rows, prices, margin)
        if len(row):
            found = to_numpy(value[row, column]).astype(np.float64)
            gains = found + prices[0][rows][row] + prices[1][column]
            violation = max(violation, float(gains.max()))
            best = _best_of_each(row, gains, rng)
            pairs.append((row[best] + rows.start) * alike.q + column[best])
            values.append(found[best])
    return np.concatenate(pairs), np.concatenate(values), violation


def _in_doubt(
    alike: _Correlations,
    prices: _Prices,
    margin: float,
    known: _Candidates,
    carrying: Integers,
    rng: np.random.Generator,
) -> tuple[Integers, Floats, float]:
    """The same in double precision, for pairs of which single precision leaves a doubt.

    Candidates among them, and the pairs of the plan, are all returned; those whose correlation is
    known in double precision already are skipped.
    """
    pairs, values, violation = [np.zeros(0, dtype=np.intp)], [np.zeros(0)], 0.0
    for rows, value in alike:
        row, column = _above(value, rows, prices, -margin)
        near = row * alike.q + column
        first, last = rows.start * alike.q, rows.stop * alike.q
        used = carrying[slice(*np.searchsorted(carrying, [first, last]))]
        near = np.union1d(near, used - first)
        near = near[~known.exactly(near + first)]
        if not len(near):
            continue
        row, column = np.divmod(near, alike.q)
        found = alike.in_double(rows, near)
        gains = found + prices[0][rows][row] + prices[1][column]
        candidate, gain = known.has(near + first), gains > _TOLERANCE
        violation = max(violation, float(gains.max()))
        some = np.flatnonzero(gain)
        best = np.union1d(
            some[_best_of_each(row[some], gains[some], rng)], np.flatnonzero(candidate)
        )
        pairs.append(near[best] + first)
        values.append(found[best])
    return np.concatenate(pairs), np.concatenate(values), violation


def _above(value: Array, rows: slice, prices: _Prices, least: float) -> tuple[Integers, Integers]:
    """Rows and columns of the pairs of a block that gain more than this, in order."""
    wanted = value + _like(value, prices[1])
    xp = array_api.array_namespace(wanted)
    enough = _like(value, least - prices[0][rows])
    some = xp.nonzero(xp.max(wanted, axis=1) > enough)[0]  # few, except in the first rounds
    wanted, enough = xp.take(wanted, some, axis=0), xp.take(enough, some)
    row, column = xp.nonzero(wanted > enough[:, None])
    return to_numpy(some[row]), to_numpy(column)


def _best_of_each(unit: Integers, gains: Floats, rng: np.random.Generator) -> Integers:
    """Positions of the pairs that gain most, a few of each unit, in order; ties by chance."""
    order = np.lexsort((-gains - _JITTER * rng.random(len(gains)), unit))
    first = np.flatnonzero(np.diff(unit[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return np.sort(order[rank < _ADDED])


def _single(values: Array) -> Array:
    """Convert to single precision, unless torch is set to round its products more coarsely."""
    xp = array_api.array_namespace(values)
    return xp.astype(values, xp.float32) if single_is_exact(values) else values


def _like(value: Array, numbers: Floats) -> Array:
    """Convert numbers to single precision, on the device of the correlations."""
    xp = array_api.array_namespace(value)
    return xp.asarray(numbers.astype(np.float32), device=array_api.device(value))
