"""The study: small networks are trained, and compared by layer, step of training and shift."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...base.arguments import check_type
from ...base.files import as_path
from ...base.hashing import keys_if_known, recipe
from ...base.progress import track
from ...base.study import Study
from ...data.assembly import Assembly
from ...data.stimuli import Stimuli
from ...images.distortions import distort
from ...images.drawings import drawings
from ...networks.accuracy import accuracy
from ...networks.checkpoints import checkpoints
from ...networks.extraction import extract
from ...networks.known import network
from ...networks.network import Network
from ...networks.training import HELD_OUT_SEED, train
from ...scoring.controls import rotated, shuffled
from ..hierarchy import hierarchy
from ..shift import shift
from ..trajectory import trajectory
from .plan import FULL, Plan
from .verdicts import Findings, verdicts

__all__ = ["findings"]

_Layers = dict[str, Assembly]
_Pair = tuple[str, str]  # names of two trainings
_CODE = ("images", "networks", "metrics", "statistics", "protocol", "scoring", "experiments")


def findings(
    folder: str | os.PathLike[str],
    plan: Plan = FULL,
    *,
    device: str = "cpu",
    progress: bool | None = None,
) -> Findings:
    """Train small networks, and test the four findings of the paper on them.

    The folder keeps each finished step, so a call that was interrupted does only what is missing
    when it is repeated.

    Parameters
    ----------
    folder : path
        Folder of trainings, scores and results; created if it does not exist.
    plan : Plan
        Networks, trainings, stimuli and distortions of the study.
    device : str
        Device: ``"cpu"``, ``"cuda"``...
    progress : bool, optional
        Whether to draw progress bars; by default, only in a terminal.

    Returns
    -------
    Findings
        Results of all experiments, and a verdict for each finding.

    Raises
    ------
    InputError
        If the folder holds trainings of another plan, or cannot be written to.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.

    Examples
    --------
    >>> import convergent as cv
    >>> found = cv.findings("findings")  # doctest: +SKIP
    >>> found.verdicts[["finding", "verdict"]]  # doctest: +SKIP
    """
    folder = as_path(folder, "folder")
    check_type(Plan, "a Plan", plan=plan)
    work = _Work(folder, plan, device, progress)
    parts = work.hierarchy(), work.trajectory(), work.shift()
    return Findings(*parts, verdicts(*parts))


class _Work:
    """Steps of the study, each of which is done once."""

    def __init__(self, folder: Path, plan: Plan, device: str, progress: bool | None) -> None:
        self._folder, self._plan, self._device, self._progress = folder, plan, device, progress
        self._study = Study(folder / "study")
        self._stimuli = drawings(plan.stimuli, seed=HELD_OUT_SEED)
        self._logs = self._train()
        self._networks = {
            run: {
                step: network(name, checkpoint=file)
                for step, file in checkpoints(self._folder / "networks" / run).items()
            }
            for run, (name, _) in plan.runs.items()
        }
        self._hashes = {
            run: [net.fingerprint() for net in of_step.values()]
            for run, of_step in self._networks.items()
        }

    def hierarchy(self) -> xr.Dataset:
        """Score all pairs of layers of the trained networks of each pair."""

        def of_pair(pair: _Pair) -> xr.Dataset:
            untrained, *_, source = self._activations[pair[0]].values()
            *_, target = self._activations[pair[1]].values()
            controls = self._controls(pair, source)
            if controls:
                controls["untrained"] = untrained
            found = hierarchy(source, target, controls=controls, **self._common)
            names = [name for name in found.data_vars if not str(name).startswith("partner")]
            places = {side: range(found.sizes[side]) for side in ("source", "target")}
            return found[names].assign_coords(places)

        return self._all_pairs("hierarchy", of_pair)

    def trajectory(self) -> xr.Dataset:
        """Score the checkpoints of the networks of each pair."""

        def of_pair(pair: _Pair) -> xr.Dataset:
            source = {pair[0]: self._activations[pair[0]]}
            correct = {
                run: dict(zip(self._logs[run]["epoch"], self._logs[run]["accuracy"], strict=True))
                for run in pair
            }
            found = trajectory(
                source | {pair[1]: self._activations[pair[1]]},
                pairs=[pair],
                controls=self._controls(pair, source),
                accuracy=correct,
                **self._common,
            )
            found = found.squeeze(["pair", "run"], drop=True)
            return found.assign_coords(
                network=["source", "target"], layer=range(found.sizes["layer"])
            )

        return self._all_pairs("trajectory", of_pair)

    def shift(self) -> xr.Dataset:
        """Score the trained networks of each pair on distorted stimuli."""
        parts = []
        for name, levels in self._plan.distortions.items():
            part = self._step(f"shift {name}", partial(self._shifted, name, levels), list(levels))
            level = {"level_name": ("level", part["level"].values.astype(str))}
            part = part.assign(level).assign_coords(level=range(part.sizes["level"]))
            parts.append(part)
        return xr.concat(
            parts,
            xr.Variable("distortion", list(self._plan.distortions)),
            join="outer",
            combine_attrs="override",
            data_vars="all",
            fill_value={**dict.fromkeys(parts[0].data_vars, np.nan), "level_name": ""},
        )

    def _shifted(self, name: str, levels: Sequence[Any]) -> xr.Dataset:
        """Score the trained networks of each pair at all levels of one distortion."""
        layers_of: dict[str, dict[Any, _Layers]] = {run: {} for run in self._plan.runs}
        correct: dict[str, dict[Any, float]] = {run: {} for run in self._plan.runs}
        for level in track(levels, f"extracting {name}", len(levels), self._progress):
            distorted = _in_memory(distort(self._stimuli, name, level))
            for run in self._plan.runs:
                layers = self._layers(self._trained(run), distorted)
                layers_of[run][level] = layers
                outputs = list(layers.values())[-1]
                correct[run][level] = accuracy(outputs, distorted.table["category"])

        def of_pair(pair: _Pair) -> xr.Dataset:
            source, target = (layers_of[run] for run in pair)
            found = shift(
                source,
                target,
                controls=self._controls(pair, source),
                accuracy=dict(zip(("source", "target"), (correct[r] for r in pair), strict=True)),
                **self._common,
            )
            found = found.drop_vars("target_layer")
            return found.assign_coords(layer=range(found.sizes["layer"]))

        return self._joined(name, of_pair)

    def _train(self) -> dict[str, pd.DataFrame]:
        return {
            run: train(
                name,
                self._folder / "networks" / run,
                seed=seed,
                epochs=self._plan.epochs,
                images=self._plan.training_images,
                held_out=self._plan.stimuli,
                device=self._device,
                progress=self._progress,
            )
            for run, (name, seed) in self._plan.runs.items()
        }

    def _trained(self, run: str) -> Network:
        """Network at the last step of a training."""
        return list(self._networks[run].values())[-1]

    def _layers(self, net: Network, stimuli: Stimuli) -> _Layers:
        return extract(net, stimuli, device=self._device, batch_size=100, progress=False)

    @cached_property
    def _activations(self) -> dict[str, dict[float, _Layers]]:
        """Layers of all checkpoints, by training and step."""
        runs = self._plan.runs
        return {
            run: {
                step: self._layers(net, self._stimuli) for step, net in self._networks[run].items()
            }
            for run in track(runs, "extracting checkpoints", len(runs), self._progress)
        }

    def _controls(self, pair: _Pair, source: Any) -> dict[str, Any]:
        """Controls of the source, for the first pair of each group; none for others."""
        pairs = self._plan.pairs
        first = next(other for other, group in pairs.items() if group == pairs[pair])
        if pair != first:
            return {}
        return {"shuffled": shuffled(source), "rotated": rotated(source)}

    @property
    def _common(self) -> dict[str, Any]:
        return {"metrics": self._plan.metrics, "device": self._device, "progress": False}

    def _all_pairs(self, experiment: str, of_pair: Callable[[_Pair], xr.Dataset]) -> xr.Dataset:
        """Do an experiment for each pair, as steps that are kept one by one."""

        def step(pair: _Pair) -> xr.Dataset:
            return self._step(f"{experiment} {' > '.join(pair)}", partial(of_pair, pair), [])

        return self._joined(experiment, step)

    def _joined(self, what: str, of_pair: Callable[[_Pair], xr.Dataset]) -> xr.Dataset:
        """Do an experiment for each pair, and join the results along ``pair``."""
        pairs = self._plan.pairs
        parts = [of_pair(pair) for pair in track(pairs, what, len(pairs), self._progress)]
        known = {name: part[name] for part in parts for name in part.data_vars}
        parts = [
            part.assign(
                {name: xr.full_like(one, np.nan) for name, one in known.items() if name not in part}
            )
            for part in parts
        ]
        names = [f"{source} > {target}" for source, target in pairs]
        joined: xr.Dataset = xr.concat(
            parts, xr.Variable("pair", names), data_vars="all", combine_attrs="override"
        )
        seeds = [[self._plan.runs[run][1] for run in pair] for pair in pairs]
        return joined.assign_coords(
            group=("pair", list(pairs.values())),
            source_seed=("pair", [source for source, _ in seeds]),
            target_seed=("pair", [target for _, target in seeds]),
        )

    def _step(self, name: str, make: Callable[[], xr.Dataset], levels: Sequence[Any]) -> xr.Dataset:
        """Do a step, or read its result if the study keeps it and the code is that of the files."""
        if keys_if_known(name, _CODE) is None:
            return make()
        key = recipe(
            f"findings: {name}",
            _CODE,
            networks=self._hashes,
            pairs=[[*pair, group] for pair, group in self._plan.pairs.items()],
            metrics=list(self._plan.metrics),
            stimuli=[self._plan.stimuli, HELD_OUT_SEED],
            levels=[str(level) for level in levels],
            device=self._device,
        )
        return self._study.dataset(key, make)


def _in_memory(stimuli: Stimuli) -> Stimuli:
    """Make each image once, for all networks."""
    images = {name: stimuli[name] for name in stimuli.names}
    return replace(stimuli, read=images.__getitem__)
