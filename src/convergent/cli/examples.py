"""Examples in the help of each command. A test reads each of them as the command line does."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXAMPLES", "epilog"]

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "score": (
        "convergent score",
        "convergent score --network efficientnet-lite1 --data cowley2023/210325",
        "convergent score --layers _blocks.5,_blocks.11 --bootstrap 100 --out run1",
    ),
    "compare": (
        "convergent compare efficientnet-lite0 efficientnet-lite1 --layers _blocks.5",
        "convergent compare efficientnet-lite0 virtual-cortex --references cka",
    ),
    "hierarchy": (
        "convergent hierarchy efficientnet-lite0 efficientnet-lite1",
        "convergent hierarchy efficientnet-lite0 efficientnet-lite0 --metrics linear",
    ),
    "shift": (
        "convergent shift efficientnet-lite1 efficientnet-lite2",
        "convergent shift efficientnet-lite1 efficientnet-lite2 --distortion all",
    ),
    "trajectory": (
        "convergent train small-plain --seeds 0,1",
        "convergent trajectory small-plain=trained/small-plain-0 \\\n"
        "      small-plain=trained/small-plain-1",
    ),
    "features": (
        "convergent features efficientnet-lite0 efficientnet-lite1 \\\n"
        "      --layers _blocks.5 --layers-second _blocks.7",
        "convergent features efficientnet-lite0 virtual-cortex --layers _blocks.5",
    ),
    "run": (
        "convergent run results/study.toml",
        "convergent run results/study.toml --out again --seed 1",
    ),
    "datasets": ("convergent datasets", "convergent datasets --json"),
    "fetch": ("convergent fetch cowley2023/210325", "convergent fetch cowley2023"),
    "networks": ("convergent networks", "convergent networks efficientnet-lite0"),
    "train": (
        "convergent train small-plain",
        "convergent train small-residual --seeds 0,1,2 --out trained",
    ),
    "findings": ("convergent findings --reduced", "convergent findings --out findings"),
}


def epilog(command: str) -> str:
    """Text below the help of a command."""
    lines = "\n".join(f"  {example}" for example in EXAMPLES[command])
    return f"Examples:\n{lines}"
