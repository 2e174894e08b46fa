"""Numbers and names as a page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..base.errors import shortened, shown

__all__ = ["count", "interval", "listed", "number", "probability", "several"]

_NONE = "–"
_LEAST = 0.001  # probability that is written with all its zeros


def number(value: float, digits: int = 3) -> str:
    """A number with so many digits after the point; a dash where there is none."""
    if not math.isfinite(value):
        return _NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def interval(low: float, high: float) -> str:
    """Both ends of an interval; a dash where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return _NONE
    return f"{number(low)} to {number(high)}"


def probability(p: float) -> str:
    """A p-value, which is never 0."""
    if not math.isfinite(p):
        return _NONE
    return f"{p:.1e}" if 0 < p < _LEAST else f"{p:.2g}"


def count(n: int, word: str, plural: str = "") -> str:
    """A number of things: ``1 unit``, ``12,000 units``."""
    return f"{n:,} {word if n == 1 else plural or word + 's'}"


def several(numbers: Iterable[int], word: str) -> str:
    """One or a range of numbers of things: ``20 to 90 units``."""
    found = list(numbers)
    least, most = min(found), max(found)
    return count(most, word) if least == most else f"{least:,} to {count(most, word)}"


def listed(names: Sequence[object], most: int = 6) -> str:
    """Names in a sentence: ``V1, V4 and 7 more``."""
    texts = [shortened(shown(name), 80) for name in names]
    if len(texts) > most:
        return f"{', '.join(texts[: most - 1])} and {len(texts) - most + 1} more"
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]
