"""Optimal transport of units on units: exact, with a certificate, and without the full matrix.

A linear programme over all p x q pairs of units has an optimal plan that uses fewer than p + q of
them. So it is solved on few candidates, and its dual prices tell which of all other pairs would
gain: those are added, and it is solved again, until no pair would gain. Correlations of all pairs
are made in single precision, block by block, with a bound on their error; those of pairs that this
bound leaves in doubt are made again in double precision, so that the plan is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any, Protocol

import array_api_compat as array_api
import numpy as np
import ot
import scipy.sparse
from numpy.typing import NDArray

from ..population import Array, to_numpy

__all__ = ["Columns", "Plan", "transport_plan"]

GROUPS = 8  # the best partner of a unit in each of so many groups is a candidate
ADDED = 6  # pairs of one unit that are added in a round, at most
BLOCK_PAIRS = 2**22  # correlations made in one go
HELD_BYTES = 512 * 2**20  # smaller matrices of correlations are kept, larger ones made anew
DOUBTFUL = 1 / 32  # of a block: above, it is made in double precision as a whole
TOLERANCE = 1e-9  # of a correlation: a left-out pair that would gain less is no violation
JITTER = 1e-6  # of a correlation: pairs that tie are taken in random order
ROUNDS = 200  # rounding keeps prices from closing where this is not enough
SAMPLE = 3000  # source units whose plan gives first prices, where they far outnumber the targets

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
        Certificate: how much correlation the best pair left out would still gain; the plan is
        optimal where this is no more than rounding error.
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


def transport_plan(x: Array | Columns, y: Array) -> Plan:
    r"""Matching of units with the greatest total correlation, exact.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} \, x_i \cdot y_j
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    Where p = q the plan is a permutation.

    Parameters
    ----------
    x : array (n, p), or `Columns`
        Source units, centred and of norm 1, so that products are correlations. `Columns` are read
        again in every round.
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

    References
    ----------
    Bonneel, van de Panne, Paris and Heidrich 2011 (network simplex, as POT has it); Dantzig and
    Wolfe 1960, Operations Research 8 (pricing of columns left out).
    """
    p, q = int(x.shape[1]), int(y.shape[1])
    if 0 in (p, q):
        nobody = np.zeros(0, dtype=np.intp)
        return Plan(nobody, nobody, np.zeros(0), 0.0, 0, 0)
    alike = _Correlations(x, y)
    known = _Candidates(q, *_first_candidates(alike, _first_prices(x, y)))
    # whole numbers as masses: sums are exact, and equal counts give a permutation
    common = gcd(p, q)
    supply, demand = np.full(p, q / common), np.full(q, p / common)
    rng = np.random.default_rng(0)
    rounds, closed = 0, False
    while not closed and rounds < ROUNDS:
        rounds += 1
        flow, prices = _solve(supply, demand, known.costs((p, q)))
        flow = flow.tocsr().tocoo()  # sorted
        carrying = flow.row.astype(np.intp) * q + flow.col
        near, values, violation = _price(alike, prices, known, rng)
        nothing_new = known.take_in(near, values)
        # prices that rounding keeps from closing add nothing: the certificate says by how much
        closed = (violation <= TOLERANCE or nothing_new) and known.all_exact(carrying)
    mass = flow.data / flow.data.sum()
    return Plan(carrying // q, carrying % q, mass, max(violation, 0.0), rounds, len(known.pairs))


Prices = tuple[Floats, Floats]  # of each source and each target unit


class _Correlations:
    """Correlations of all pairs, a block of source units at a time."""

    def __init__(self, x: Array | Columns, y: Array) -> None:
        self.n, self.p, self.q = (*map(int, x.shape), int(y.shape[1]))
        xp = array_api.array_namespace(y)
        self._single = xp.float32
        self._y = xp.astype(y, xp.float32)
        self._y_rows = np.ascontiguousarray(to_numpy(y).T, dtype=np.float64)
        self._x = x
        rows = max(1, min(BLOCK_PAIRS // self.q, -(-self.p // GROUPS)))
        self._blocks = [slice(i, min(i + rows, self.p)) for i in range(0, self.p, rows)]
        self._held: list[Array] | None = None
        if 4 * self.p * self.q <= HELD_BYTES:
            self._held = [self._make(rows) for rows in self._blocks]
        # of float32 sums of n products of vectors of norm 1, whatever their order
        self.error = 1.01 * (self.n + 3) * 2.0**-24

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[tuple[slice, Array]]:
        for k, rows in enumerate(self._blocks):
            yield rows, self._make(rows) if self._held is None else self._held[k]

    def exact(self, rows: slice, source: Integers, target: Integers) -> Floats:
        """Correlations in double precision of some pairs; sources are counted from ``rows``."""
        values = np.empty(len(source))
        if not len(source):
            return values
        used, source = np.unique(source, return_inverse=True)
        x = np.ascontiguousarray(to_numpy(self._units(rows)[:, used]).T, dtype=np.float64)
        step = max(1, 2**20 // self.n)
        for start in range(0, len(source), step):
            part = slice(start, start + step)
            values[part] = np.einsum("ij,ij->i", x[source[part]], self._y_rows[target[part]])
        return values

    def exact_block(self, rows: slice) -> Floats:
        """Correlations (b, q) in double precision."""
        return to_numpy(self._units(rows)).T @ self._y_rows.T

    def _make(self, rows: slice) -> Array:
        block = self._units(rows)
        xp = array_api.array_namespace(block)
        return xp.matrix_transpose(xp.astype(block, self._single)) @ self._y

    def _units(self, rows: slice) -> Array:
        streamed = hasattr(self._x, "block")
        return self._x.block(rows) if streamed else self._x[:, rows]  # type: ignore[index]


class _Candidates:
    """The pairs that the linear programme is given, sorted, and what is known of each."""

    def __init__(self, q: int, pairs: Integers, values: Floats) -> None:
        self.q, self.pairs, self.values = q, pairs, values
        self.exact = np.zeros(len(pairs), dtype=bool)

    def costs(self, shape: tuple[int, int]) -> Any:
        return scipy.sparse.coo_array(
            (1 - self.values, (self.pairs // self.q, self.pairs % self.q)), shape=shape
        )

    def find(self, pairs: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Where pairs stand, or would stand, and whether they are there."""
        place = np.searchsorted(self.pairs, pairs)
        return place, self.pairs[np.minimum(place, len(self.pairs) - 1)] == pairs

    def all_exact(self, pairs: Integers) -> bool:
        return bool(self.exact[self.find(pairs)[0]].all())

    def take_in(self, pairs: Integers, values: Floats) -> bool:
        """Add pairs with their exact correlations; returns whether all were known."""
        place, there = self.find(pairs)
        self.values[place[there]] = values[there]
        settled = bool(there.all() and self.exact[place[there]].all())
        self.exact[place[there]] = True
        order = np.argsort(pairs[~there])
        at, new = place[~there][order], pairs[~there][order]
        self.pairs = np.insert(self.pairs, at, new)
        self.values = np.insert(self.values, at, values[~there][order])
        self.exact = np.insert(self.exact, at, True)
        return settled


def _solve(supply: Floats, demand: Floats, costs: Any) -> tuple[Any, Prices]:
    """Cheapest plan by the network simplex; a pair gains its correlation plus both dual prices."""
    plan, log = ot.emd(supply, demand, costs, numItermax=10**9, log=True, center_dual=False)
    if log["warning"]:
        raise RuntimeError(f"the transport solver gave up: {log['warning']}")
    return scipy.sparse.coo_array(plan), (log["u"] - 1, log["v"])


def _first_prices(x: Array | Columns, y: Array) -> Floats:
    """Prices of the target units, from a sample of the source units where there are very many."""
    p, q = int(x.shape[1]), int(y.shape[1])
    if p < 4 * max(q, SAMPLE // 2) or hasattr(x, "block"):
        return np.zeros(q)
    sample = np.sort(np.random.default_rng(0).choice(p, SAMPLE, replace=False))
    values = to_numpy(x)[:, sample].T @ to_numpy(y)
    _, (_, prices) = _solve(np.ones(SAMPLE), np.full(q, SAMPLE / q), 1 - values)
    return prices


def _first_candidates(alike: _Correlations, prices: Floats) -> tuple[Integers, Floats]:
    """Best partners of each unit, and the pairs of a plan that is feasible, with correlations.

    The best in each of several groups of partners takes one pass, and the best of all is among
    them.
    """
    p, q = alike.p, alike.q
    width = -(-q // GROUPS)
    corner = _corner_plan(p, q)
    best = np.full((GROUPS, q), -np.inf, dtype=np.float32)
    partner = np.zeros((GROUPS, q), dtype=np.intp)
    pairs, values = [], []
    for k, (rows, value) in enumerate(alike):
        gain = value + _like(value, prices)
        xp = array_api.array_namespace(gain)
        mine = slice(*np.searchsorted(corner, [rows.start * q, rows.stop * q]))
        flat = [corner[mine] - rows.start * q]
        for start in range(0, q, width):
            column = to_numpy(xp.argmax(gain[:, start : start + width], axis=1))
            flat.append(np.arange(len(column)) * q + start + column)
        pairs.append(np.concatenate(flat))
        values.append(to_numpy(value).ravel()[pairs[-1]])
        pairs[-1] += rows.start * q
        group = k * GROUPS // len(alike)
        top = to_numpy(xp.argmax(gain, axis=0))
        most = to_numpy(xp.max(gain, axis=0))
        better = most > best[group]
        best[group, better], partner[group, better] = most[better], top[better] + rows.start
    found = np.nonzero(best > -np.inf)
    pairs.append(partner[found] * q + found[1])
    values.append(best[found] - prices[found[1]])
    unique, first = np.unique(np.concatenate(pairs), return_index=True)
    return unique, np.concatenate(values)[first].astype(np.float64)


def _corner_plan(p: int, q: int) -> Integers:
    """Pairs of the plan that fills units in order (the north-west corner rule): always feasible."""
    starts = np.union1d(np.arange(p) * q, np.arange(q) * p)
    return (starts // q) * q + starts // p


def _price(
    alike: _Correlations, prices: Prices, known: _Candidates, rng: np.random.Generator
) -> tuple[Integers, Floats, float]:
    """Price all pairs; returns those in doubt that matter, exactly, and the greatest gain.

    Single precision tells which pairs may gain: all others cannot, by the bound on its error.
    """
    shift = prices[1].mean()
    row_price, column_price = prices[0] + shift, prices[1] - shift
    scale = 1 + max(np.abs(row_price).max(), np.abs(column_price).max())
    margin = alike.error + 4 * scale * 2.0**-24
    pairs, values, most = [], [], -margin
    for rows, value in alike:
        gain = value + _like(value, column_price)
        gain += _like(value, row_price[rows])[:, None]
        xp = array_api.array_namespace(gain)
        near = to_numpy(xp.nonzero(xp.reshape(gain, (-1,)) > -margin)[0])
        if len(near) > DOUBTFUL * gain.shape[0] * alike.q:
            near, exact = _in_double(alike, rows, (row_price, column_price), known)
        else:
            exact = _recalled(alike, rows, near, known)
        source, target = near // alike.q, near % alike.q
        gains = exact + row_price[rows][source] + column_price[target]
        most = max(most, float(gains.max(initial=-margin)))
        near = near + rows.start * alike.q
        keep = known.find(near)[1]
        new = np.flatnonzero(~keep & (gains > TOLERANCE))
        keep[new] = _best_of_each(source[new], target[new], gains[new], rng)
        pairs.append(near[keep])
        values.append(exact[keep])
    return np.concatenate(pairs), np.concatenate(values), most


def _recalled(alike: _Correlations, rows: slice, near: Integers, known: _Candidates) -> Floats:
    """Exact correlations of pairs of a block, made only where they are not known."""
    place, there = known.find(near + rows.start * alike.q)
    place = np.minimum(place, len(known.pairs) - 1)
    values = known.values[place]
    unknown = np.flatnonzero(~(there & known.exact[place]))
    pairs = near[unknown]
    values[unknown] = alike.exact(rows, pairs // alike.q, pairs % alike.q)
    return values


def _in_double(
    alike: _Correlations, rows: slice, prices: Prices, known: _Candidates
) -> tuple[Integers, Floats]:
    """Pairs of a block that gain in double precision, or are known, with their correlations."""
    value = alike.exact_block(rows)
    gaining = value + prices[1] + prices[0][rows, None] > TOLERANCE
    mine = slice(*np.searchsorted(known.pairs, [rows.start * alike.q, rows.stop * alike.q]))
    gaining.ravel()[known.pairs[mine] - rows.start * alike.q] = True
    pairs = np.flatnonzero(gaining)
    return pairs, value.ravel()[pairs]


def _best_of_each(
    source: Integers, target: Integers, gains: Floats, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The pairs that gain most: a few of each source unit, and the best of each target unit."""
    gains = gains + JITTER * rng.random(len(gains))
    keep = np.zeros(len(gains), dtype=bool)
    for unit, most in ((source, ADDED), (target, 1)):
        order = np.lexsort((-gains, unit))
        first = np.flatnonzero(np.diff(unit[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        keep[order[rank < most]] = True
    return keep


def _like(value: Array, numbers: Floats) -> Array:
    """Numbers in single precision, where the correlations are."""
    xp = array_api.array_namespace(value)
    return xp.asarray(numbers.astype(np.float32), device=array_api.device(value))
