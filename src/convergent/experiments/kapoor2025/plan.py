"""Plan of the study: its networks, trainings, stimuli and distortions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

from ...base.errors import InputError, unknown
from ...images.distortions import DISTORTIONS, Level
from ...metrics.table import METRICS
from ...networks.small import SMALL

__all__ = ["FULL", "REDUCED", "Plan"]


@dataclass(frozen=True)
class Plan:
    """Networks, trainings, stimuli and distortions of a study.

    Parameters
    ----------
    networks : tuple of str
        Names of small architectures.
    seeds : int
        Number of trainings of each architecture, which differ in their initialisation and in the
        order of the images.
    epochs : int
        Number of epochs of a training.
    training_images : int
        Number of drawings that the networks are trained on.
    stimuli : int
        Number of other drawings, with which the networks are compared.
    distortions : dict of tuple
        Levels of each distortion; the first is the control, without distortion.
    metrics : tuple of str
        Names of `METRICS`; all three are needed.

    Raises
    ------
    InputError
        If a name is unknown, a metric is missing, or there is nothing to compare.
    """

    networks: tuple[str, ...] = ("small-plain", "small-residual")
    seeds: int = 4
    epochs: int = 12
    training_images: int = 8000
    stimuli: int = 600
    distortions: Mapping[str, tuple[Level, ...]] = field(
        default_factory=lambda: MappingProxyType({k: d.levels for k, d in DISTORTIONS.items()})
    )
    metrics: tuple[str, ...] = tuple(METRICS)

    def __post_init__(self) -> None:
        for kind, given, known in (
            ("small network", self.networks, SMALL),
            ("distortion", self.distortions, DISTORTIONS),
        ):
            for name in given:
                if name not in known:
                    raise unknown(kind, name, known)
        if set(self.metrics) != set(METRICS):
            raise InputError(
                f"metrics are {self.metrics}: the findings are about {', '.join(METRICS)}, so give "
                "these three."
            )
        levels = [len(several) for several in self.distortions.values()]
        if not self.pairs or min(levels, default=0) < 2:
            raise InputError(
                f"{self.seeds} seed(s) of {len(self.networks)} network(s) and distortions of "
                f"{levels} levels: give two trainings or more, and one distortion or more, each "
                "with two levels or more."
            )

    @property
    def runs(self) -> dict[str, tuple[str, int]]:
        """Architecture and seed of each training, by name."""
        return {
            f"{network}-{seed}": (network, seed)
            for network in self.networks
            for seed in range(self.seeds)
        }

    @property
    def pairs(self) -> dict[tuple[str, str], str]:
        """Group of each pair of trainings that is compared.

        The pairs are all seeds of an architecture with each other, and equal seeds of two
        architectures.
        """
        found = {}
        for network in self.networks:
            for one, other in combinations(range(self.seeds), 2):
                found[f"{network}-{one}", f"{network}-{other}"] = network
        for first, second in combinations(self.networks, 2):
            for seed in range(self.seeds):
                found[f"{first}-{seed}", f"{second}-{seed}"] = f"{first} > {second}"
        return found


FULL = Plan()

REDUCED = Plan(  # a quick test that all of it runs
    seeds=1,
    epochs=2,
    training_images=256,
    stimuli=60,
    distortions=MappingProxyType({"contrast": (100, 30, 5), "low-pass": (0, 3, 15)}),
)
