"""Whether what a notebook shows now agrees with what is kept in it.

Texts agree word by word, and numbers up to rounding: a number with decimals may differ by one in
the last place that is printed, and by a thousandth of itself. (Sums of other processors and
libraries differ by about a millionth; 0.4995 is then printed as 0.499 or as 0.500.) Whole numbers
are counts, and have to be the same. Numbers that are parts of names (`_blocks.5`, `image003`) are
words.

What has to differ is not compared: times with their unit, dates, versions, hashes, and addresses in
memory. A cell can ask for more by a tag:

- ``machine``: its numbers are times or sizes on this machine; only its words are compared;
- ``trained``: its numbers come from a network that was trained in the notebook. Rounding changes
  a training, so they may differ by `TRAINED`;
- ``data:CARD/PART``: it shows a recording, and is compared only where that is on this machine.

Figures are compared by their presence and size. HTML is compared by the text that a reader sees.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

__all__ = ["MACHINE", "TRAINED", "differences", "png_size", "present_or_absent"]

MACHINE = "machine"
TRAINED = 0.15  # rounding of another processor changes a training much as another seed does
_RELATIVE = 1e-3
_ZERO = 1e-9  # below this, numbers are 0 but for rounding
_SIZE = 0.1  # of figures: fonts differ a little

_MASKS = {
    "DATE": r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[+-]\d\d:?\d\d|Z)?)?",
    "HASH": r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,})\b",
    "VERSION": r"(?<![\w.])\d+\.\d+\.\d+[\w.+-]*",
    "TIME": r"(?<![\w.])\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|min|h|seconds?|minutes?|hours?|days?)\b",
}
_NUMBER = re.compile(
    r"(?<![\w.])"  # not the 5 of _blocks.5
    r"([-+−]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)"
    r"(?!\w|\.\d)"
)


def differences(kept: Any, made: Any, present: Callable[[str], bool] | None = None) -> list[str]:
    """Where the outputs of a notebook differ from those that are kept, beyond rounding.

    Parameters
    ----------
    kept, made : NotebookNode
        The same notebook, as it is kept and as it was executed now.
    present : callable, optional
        Whether a recording (``card/part``) is on this machine.

    Returns
    -------
    list of str
        One line a difference, with the cell; empty if there are none.
    """
    if [cell.source for cell in kept.cells] != [cell.source for cell in made.cells]:
        return ["the notebooks have other cells"]
    found = []
    for number, (old, new) in enumerate(zip(kept.cells, made.cells, strict=True)):
        tags = old.metadata.get("tags", [])
        needed = [tag.removeprefix("data:") for tag in tags if tag.startswith("data:")]
        if present and not all(map(present, needed)):
            continue
        pairs = _parts(old), _parts(new)
        found += [f"cell {number} ({old.id}): {line}" for line in _unlike(*pairs, tags)]
    return found


def present_or_absent(needed: str) -> bool:
    """Whether a recording, ``card/part``, is on this machine."""
    import convergent as cv

    card, _, part = needed.partition("/")
    return bool(cv.present(cv.card(card), part))


def png_size(picture: str) -> tuple[int, int]:
    """Width and height of a PNG in base64, in pixels."""
    width, height = struct.unpack(">II", base64.b64decode(picture[:64])[16:24])
    return width, height


def _parts(cell: Any) -> list[tuple[str, str]]:
    """The outputs of a cell in their order: what each is, and its content; streams are joined."""
    parts: list[tuple[str, str]] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            kind, content = output.name, output.text
            if parts and parts[-1][0] == kind:
                content = parts.pop()[1] + content
        elif output.output_type == "error":
            kind, content = "error", f"{output.ename}: {output.evalue}"
        else:
            data = output.data
            kind = next(
                (one for one in ("image/png", "image/svg+xml", "text/html") if one in data),
                "text/plain",
            )
            content = str(data.get(kind, ""))
        parts.append((kind, content))
    return parts


def _unlike(
    old: list[tuple[str, str]], new: list[tuple[str, str]], tags: list[str]
) -> Iterator[str]:
    """Each difference of two cells' outputs."""
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        kept, made = (", ".join(kind for kind, _ in parts) or "nothing" for parts in (old, new))
        yield f"it shows {made}, and {kept} is kept"
        return
    for (kind, before), (_, now) in zip(old, new, strict=True):
        if kind == "image/png":
            yield from _unlike_pictures(before, now)
        elif kind == "text/html":
            yield from _unlike_texts(_text_of(before), _text_of(now), tags)
        elif kind != "image/svg+xml":
            yield from _unlike_texts(before, now, tags)


def _unlike_pictures(old: str, new: str) -> Iterator[str]:
    kept, made = png_size(old), png_size(new)
    if any(abs(a - b) > _SIZE * max(a, b) for a, b in zip(kept, made, strict=True)):
        yield f"a figure of {made[0]} x {made[1]} pixels, where {kept[0]} x {kept[1]} is kept"


def _unlike_texts(old: str, new: str, tags: list[str]) -> Iterator[str]:
    # words and numbers take turns: numbers have odd indexes
    before, now = (_NUMBER.split(_masked(text)) for text in (old, new))
    words, made = ([" ".join(part.split()) for part in parts[::2]] for parts in (before, now))
    if words != made:
        at = next(
            (i for i, (a, b) in enumerate(zip(words, made, strict=False)) if a != b),
            min(len(words), len(made)),
        )
        was, is_now = (" ".join(" ".join(x[max(0, 2 * at - 1) :]).split()) for x in (before, now))
        yield f"the text {is_now[:80]!r}, where {was[:80]!r} is kept"
        return
    if MACHINE in tags:
        return
    for i, (a, b) in enumerate(zip(before[1::2], now[1::2], strict=True)):
        if not _same_number(a, b, TRAINED if "trained" in tags else 0):
            yield f"{b}, where {a} is kept (after {words[i][-60:]!r})"


def _masked(text: str) -> str:
    for name, pattern in _MASKS.items():
        text = re.sub(pattern, name, text)
    return text


def _same_number(old: str, new: str, more: float) -> bool:
    if old == new:
        return True
    a, b = (float(text.replace(",", "").replace("−", "-")) for text in (old, new))
    if not any(mark in text for text in (old, new) for mark in ".eE"):
        # a count; of networks that were trained here it may be another one
        return abs(a - b) <= more * max(abs(a), abs(b))
    if max(abs(a), abs(b)) < _ZERO:
        return True
    unit = min(_last_place(old), _last_place(new))
    largest = max(abs(a), abs(b))
    return abs(a - b) <= 1.001 * unit + _RELATIVE * largest + more * max(1, largest)


def _last_place(number: str) -> float:
    mantissa, _, exponent = number.lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


class _Visible(HTMLParser):
    """The text of a page that a reader sees, with a mark for each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 0
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.hidden += tag in ("style", "script")
        if tag == "img":
            self.text.append("[picture]")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)


def _text_of(page: str) -> str:
    reader = _Visible()
    reader.feed(page)
    reader.close()
    return " ".join(reader.text)
