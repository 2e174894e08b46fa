"""A small valid call of every public function and class, to which bad arguments are given.

The kind of each argument says which values are valid for it: what is not valid must be refused.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from cases import to_tensor

import convergent as cv

__all__ = ["KINDS", "Call", "Calls", "public"]

NAMES = [f"image{i:02d}.png" for i in range(18)]
FOLDS = cv.Folds(2)
CARD = """
title = "Toy"
version = "1"
description = "Made up."
licence = "CC0-1.0"
citation = "Nobody 2025"
regions = ["V1"]
subjects = ["M"]
simulated = true
stimuli = 3
"""
LOADER = """
import numpy as np
from convergent import Assembly, Stimuli

def load(card, session, file):
    names = ["a.png", "b.png", "c.png"]
    stimuli = Stimuli.from_arrays(np.zeros((3, 8, 8)), names)
    return stimuli, Assembly.from_array(np.eye(3), stimuli=names)
"""


def _whole(value: Any, least: int, most: float = math.inf) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return bool(whole and least <= value <= most)


def _real(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    known = isinstance(value, int | float | np.integer | np.floating)
    return bool(
        known and not isinstance(value, bool) and math.isfinite(value) and least <= value <= most
    )


def _strings(values: Any) -> bool:
    ordered = not isinstance(values, str | bytes | set | frozenset | Mapping)
    if not (ordered and isinstance(values, Iterable)):
        return False
    try:
        several = list(values)
    except TypeError:
        return False
    return bool(several) and all(isinstance(v, str) for v in several) and _once(several)


def _once(values: Sequence[Any]) -> bool:
    return len(set(values)) == len(values)


def _population(value: Any) -> bool:
    return isinstance(value, cv.Assembly)


def _populations(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(
            isinstance(k, str) and isinstance(v, cv.Assembly) for k, v in value.items()
        )
    return _population(value)


# which values are valid; of other kinds any value may be, as other arguments decide
KINDS: dict[str, Callable[[Any], bool]] = {
    "seed": lambda v: _whole(v, 0, 2**32 - 1),
    "count": lambda v: _whole(v, 1),
    "number from 0": lambda v: _whole(v, 0),
    "share": lambda v: _real(v) and 0 < v < 1,
    "number": _real,
    "reliability": lambda v: _real(v, -1, 1) or (isinstance(v, float) and v == -math.inf),
    "positive": lambda v: _real(v) and v > 0,
    "flag": lambda v: isinstance(v, bool | np.bool_),
    "text": lambda v: isinstance(v, str),
    "names": _strings,
    "path": lambda v: isinstance(v, str | Path) and bool(str(v).strip()) and "\0" not in str(v),
    "assembly": _population,
    "populations": _populations,
    "function": callable,
    "stimuli": lambda v: isinstance(v, cv.Stimuli),
    "result": lambda v: isinstance(v, xr.Dataset),
    "any": lambda _: True,
}
# by name of the argument
_KIND_OF = {
    **dict.fromkeys(("seed",), "seed"),
    **dict.fromkeys(("level", "alpha", "shared"), "share"),
    **dict.fromkeys(("units_flag", "pretrained", "debiased", "named", "progress"), "flag"),
    **dict.fromkeys(
        (
            *("n", "samples", "refits", "splits", "repeats", "inputs", "n_units", "n_stimuli"),
            *("size", "batch_size", "epochs", "rotations", "k", "neighbours", "bins"),
        ),
        "count",
    ),
    **dict.fromkeys(("path", "folder", "store", "study", "checkpoint"), "path"),
    **dict.fromkeys(("scores", "matches", "found", "correlations", "prediction"), "result"),
    **dict.fromkeys(("stimuli_names", "names"), "names"),
    **dict.fromkeys(("source", "target", "first", "second"), "populations"),
    **dict.fromkeys(("one", "other", "features", "assembly", "outputs", "flat"), "assembly"),
    **dict.fromkeys(("name", "distortion", "pattern", "label", "title", "unit"), "text"),
}


@dataclass(frozen=True, eq=False)
class Call:
    """A valid call.

    Attributes
    ----------
    function : function
        What is called, with keywords alone.
    arguments : dict
        Its arguments.
    kinds : dict of str
        Kind of each argument that is not the usual one of its name.
    optional : set of str
        Arguments that may be None.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    kinds: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def valid(self, argument: str, value: Any) -> bool:
        """Whether a value may be accepted."""
        if value is None and argument in self.optional:
            return True
        return KINDS[self.kinds.get(argument, _KIND_OF.get(argument, "any"))](value)


def _call(
    function: Callable[..., Any], kinds: Mapping[str, str] | None = None, /, **given: Any
) -> Call:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}
    optional = {name for name, p in parameters.items() if p.default is None}
    return Call(function, given, kinds or {}, frozenset(optional | {"study", "progress"}))


def assembly(
    units: int = 3, seed: int = 0, repeats: int = 0, name: str | None = None
) -> cv.Assembly:
    """Responses that share signals; noisy if there are repeats."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal((len(NAMES), 3))
    values = shared @ rng.standard_normal((3, units)) + 0.3 * rng.standard_normal((18, units))
    if repeats:
        values = values[..., None] + 0.5 * rng.standard_normal((*values.shape, repeats))
    dims = ("stimulus", "unit", "repeat")[: values.ndim]
    return cv.Assembly.from_array(
        values, dims=dims, stimuli=NAMES, name=name, region=["V1", "V4", "V4", "IT"][:units]
    )


class Calls:
    """Valid calls by name.

    Parameters
    ----------
    folder : Path
        Empty folder for files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def one(self) -> cv.Assembly:
        return assembly(3, 0, name="one")

    @cached_property
    def other(self) -> cv.Assembly:
        return assembly(4, 1, name="other")

    @cached_property
    def trials(self) -> cv.Assembly:
        return assembly(3, 2, repeats=3, name="trials")

    @cached_property
    def layers(self) -> dict[str, cv.Assembly]:
        return {"early": assembly(3, 3), "late": assembly(3, 4)}

    @cached_property
    def images(self) -> cv.Stimuli:
        return cv.drawings(4, 16)

    @cached_property
    def network(self) -> cv.Network:
        return cv.Network("tiny", torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), to_tensor)

    @cached_property
    def scores(self) -> xr.Dataset:
        settings = {"folds": FOLDS, "ceiling": None, "bootstrap": cv.Bootstrap(8, refits=2)}
        return cv.score(self.layers, self.other, ["linear", "procrustes"], **settings)

    @cached_property
    def overview(self) -> Any:
        few = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(8, refits=2), "rotations": 1}
        return cv.features.overview({"layer": self.one}, self.other, folds=cv.Folds(3), **few)

    @cached_property
    def steps(self) -> Mapping[str, xr.Dataset]:
        """Results of the steps of the overview."""
        return self.overview.steps["layer"]  # type: ignore[no-any-return]

    @property
    def matches(self) -> xr.Dataset:
        return self.steps["matches"]

    @cached_property
    def conditions(self) -> dict[str, dict[str, cv.Assembly]]:
        return {"0": self.layers, "1": {k: assembly(3, 7) for k in self.layers}}

    @cached_property
    def runs(self) -> dict[str, dict[float, dict[str, cv.Assembly]]]:
        return {
            run: {s: {"layer": assembly(3, seed + int(s))} for s in (0.0, 1.0)}
            for run, seed in (("a", 10), ("b", 20))
        }

    @cached_property
    def card(self) -> cv.Card:
        home = self.folder / "toy"
        home.mkdir()
        (home / "card.toml").write_text(CARD)
        (home / "toy.py").write_text(LOADER)
        return cv.read_card(home)

    @cached_property
    def files(self) -> Path:
        """A folder with an image, a zip of it, an assembly, an array, a checkpoint, a volume."""
        import zipfile

        import nibabel as nib

        home = self.folder / "files"
        home.mkdir()
        self.images[0].save(home / "a.png")
        with zipfile.ZipFile(home / "images.zip", "w") as archive:
            archive.write(home / "a.png", "a.png")
        self.one.save(home / "one.nc")
        np.save(home / "values.npy", self.one.data.values)
        (home / "epoch-1.pt").write_bytes(b"")
        volume = np.random.default_rng(0).random((2, 2, 2, 3)).astype("float32")
        nib.save(nib.Nifti1Image(volume, np.eye(4)), home / "bold.nii")
        cv.extract(self.network, self.images, ["0"], store=home / "store", progress=False)
        return home

    @cached_property
    def all(self) -> dict[str, Call]:
        """By the name after ``cv.``."""
        return {
            **self._settings(),
            **self._of_data(),
            **self._files(),
            **self._of_images(),
            **self._measures(),
            **self._questions(),
            **self._tables(),
            **self._features(),
            **self._figures(),
        }

    def _settings(self) -> dict[str, Call]:
        metric, labels = {"source": "any", "target": "any"}, {"group": "text", "order": "text"}
        train, test = np.arange(12), np.arange(12, 18)
        fold = cv.Population(self.one.data.values).fold(train, test)
        return {
            "Compute": _call(
                cv.Compute, device="cpu", study=self.folder / "study 1", progress=False
            ),
            "Study": _call(cv.Study, path=self.folder / "study 2"),
            "Folds": _call(cv.Folds, labels, n=3, seed=1, group=None, order=None),
            "Folds.split": _call(cv.Folds(3).split, n_stimuli=12, groups=None, places=None),
            "Bootstrap": _call(cv.Bootstrap, samples=9, over=("stimuli",), seed=1, refits=3),
            "Shuffle": _call(cv.Shuffle, {"kind": "text"}, samples=9, seed=1, kind="random"),
            "Protocol": _call(
                cv.Protocol,
                {"min_reliability": "reliability", "metrics": "any"},
                metrics="linear",
                folds=FOLDS,
                ceiling=None,
                min_reliability=0.1,
                bootstrap=None,
                shuffle=None,
            ),
            "Linear": _call(cv.Linear, penalties=(1.0, 10.0)),
            "Linear.fit": _call(cv.Linear().fit, metric, source=fold, target=fold),
            "Procrustes": _call(cv.Procrustes),
            "Procrustes.fit": _call(cv.Procrustes().fit, metric, source=fold, target=fold),
            "SoftMatching": _call(cv.SoftMatching, {"unit_score": "text"}, unit_score="pairwise"),
            "SoftMatching.fit": _call(cv.SoftMatching().fit, metric, source=fold, target=fold),
            "CircularShifts": _call(cv.CircularShifts, inner="linear", grid=(2, 2)),
            "Population": _call(cv.Population, values=self.one.data.values, device=None),
            "Population.fold": _call(
                cv.Population(self.one.data.values).fold,
                train=np.arange(12),
                test=np.arange(12, 18),
            ),
        }

    def _of_data(self) -> dict[str, Call]:
        names = {"stimuli": "names", "units": "names", "dims": "names", "name": "any"}

        def align(one: Any, other: Any) -> Any:
            return cv.align(one, other)

        return {
            "Assembly": _call(cv.Assembly, {"data": "any"}, data=self.one.data),
            "Assembly.from_array": _call(
                cv.Assembly.from_array,
                names,
                values=self.one.data.values,
                stimuli=list(NAMES),
                units=["a", "b", "c"],
                dims=("stimulus", "unit"),
                name="one",
                attrs={"note": "x"},
                region=["V1", "V4", "V4"],
            ),
            "Assembly.where": _call(self.one.where, region="V4"),
            "Assembly.by": _call(self.one.by, label="region"),
            "Assembly.halves": _call(self.trials.halves, seed=1),
            "Assembly.average": _call(self.trials.average),
            "Assembly.trials": _call(self.trials.trials),
            "Assembly.fingerprint": _call(self.one.fingerprint),
            "Assembly.paired": _call(self.one.paired, other=self.other),
            "Assembly.save": _call(self.one.save, path=self.folder / "saved.nc"),
            "align": _call(align, one=self.one, other=self.other),
            "by_position": _call(
                cv.by_position,
                flat=cv.extract(self.network, self.images, ["0"], spatial="flatten")["0"],
            ),
            "repeat_variance": _call(
                cv.repeat_variance, trials=self.trials, weights=np.ones((2, 18))
            ),
            "split_half": _call(
                cv.split_half, trials=self.trials, splits=3, seed=1, weights=np.ones((2, 18))
            ),
            "accuracy": _call(
                cv.accuracy,
                outputs=assembly(2),
                labels=dict.fromkeys(NAMES, "circle"),
                classes=("circle", "ring"),
            ),
            "common_steps": _call(cv.common_steps, runs={"a": {0.0: 1}, "b": {0.0: 2}}),
        }

    def _files(self) -> dict[str, Call]:
        home = self.files
        images = {"images": "any", "stimuli": "any", "name": "any"}
        names = {"stimuli": "any", "units": "names", "dims": "names", "name": "any"}
        card = {"name": "any", "card": "any"}
        table = pd.DataFrame({"stimulus": ["a", "b", "c"]})
        brain = cv.formats.from_nifti(home / "bold.nii", table)
        return {
            "open": _call(cv.open, path=home / "one.nc"),
            "open_layers": _call(cv.open_layers, path=home / "store"),
            "checkpoints": _call(cv.checkpoints, folder=home, pattern="epoch-{step}.pt"),
            "Card": _call(cv.Card, card, **{f: getattr(self.card, f) for f in _CARD}),
            "read_card": _call(cv.read_card, folder=self.card.folder),
            "card": _call(cv.card, card, name="virtual-cortex"),
            "cards": _call(cv.cards),
            "data_root": _call(cv.data_root),
            "fetch": _call(cv.fetch, card, name=self.card, session=None),
            "load": _call(cv.load, card, name=self.card, session=None),
            "present": _call(cv.present, card, card=self.card, session=None),
            "formats.from_npy": _call(
                cv.formats.from_npy,
                names,
                path=home / "values.npy",
                stimuli=list(NAMES),
                dims=("stimulus", "unit"),
                units=["a", "b", "c"],
                key=None,
                name="one",
            ),
            "formats.from_nifti": _call(
                cv.formats.from_nifti,
                images,
                images=home / "bold.nii",
                table=table,
                mask=None,
                labels=None,
                label_names=None,
                stimuli=None,
                name="brain",
            ),
            "formats.to_nifti": _call(
                cv.formats.to_nifti, values=dict.fromkeys(brain.units, 1.0), assembly=brain
            ),
        }

    def _of_images(self) -> dict[str, Call]:
        home, images, network = self.files, self.images, self.network
        grey = [np.zeros((8, 8)), np.ones((8, 8))]
        one = cv.DISTORTIONS["low-pass"]
        kinds = {"images": "any", "held_out": "any", "learning_rate": "positive"}
        return {
            "Stimuli": _call(
                cv.Stimuli,
                {"read": "function", "identify": "function", "order_given": "flag"},
                names=images.names,
                read=images.read,
                table=images.table,
                identify=None,
                order_given=True,
            ),
            "Stimuli.from_folder": _call(
                cv.Stimuli.from_folder, path=home, table=None, ground="grey"
            ),
            "Stimuli.from_zip": _call(
                cv.Stimuli.from_zip, path=home / "images.zip", table=None, ground="grey"
            ),
            "Stimuli.from_arrays": _call(
                cv.Stimuli.from_arrays, images=grey, names=["a", "b"], table=None, ground="grey"
            ),
            "Stimuli.map": _call(
                images.map, {"function": "function"}, function=cv.edges, named=False
            ),
            "Stimuli.select": _call(images.select, names=list(images.names[:2])),
            "Stimuli.in_order": _call(images.in_order, names=list(images.names[:2])),
            "Stimuli.renamed": _call(images.renamed, {"function": "function"}, function=str.upper),
            "Stimuli.content": _call(
                images.content, {"name": "text"}, name=images.names[0], opened=True
            ),
            "drawings": _call(cv.drawings, n=4, size=16, seed=1),
            "Distortion": _call(
                cv.Distortion, levels=one.levels, unit="pixels", apply=one.apply, base=one.base
            ),
            "distort": _call(
                cv.distort,
                {"stimuli": "stimuli", "level": "any"},
                stimuli=images,
                distortion="low-pass",
                level=3,
                seed=1,
            ),
            "edges": _call(cv.edges, image=images[0]),
            "simulate.natural_images": _call(cv.simulate.natural_images, n=1, size=16, seed=1),
            "simulate.recording": _call(
                cv.simulate.recording,
                features=self.other,
                n_units=2,
                repeats=2,
                noise=(1.0, 2.0),
                inputs=2,
                seed=1,
                name="V4",
                labels={"region": "V4"},
            ),
            "simulate.convergent_pair": _call(
                cv.simulate.convergent_pair,
                {"block": "count", "private": "number from 0"},
                n_stimuli=20,
                n_units=10,
                shares=(0.6, 0.4, 0.0),
                block=4,
                private=2,
                noise=0.3,
                seed=1,
            ),
            "Network": _call(
                cv.Network,
                {"preprocess": "function", "default_layers": "any"},
                name="mine",
                module=network.module,
                preprocess=network.preprocess,
                default_layers=("0",),
                about={"package": "mine"},
            ),
            "network": _call(
                cv.network, name="small-plain", pretrained=False, seed=1, checkpoint=None
            ),
            "extract": _call(
                cv.extract,
                {"network": "any", "stimuli": "stimuli"},
                network=network,
                stimuli=images,
                layers=["0"],
                spatial="mean",
                batch_size=2,
                store=None,
                device=None,
                study=None,
                progress=False,
            ),
            "train": _call(
                cv.train,
                kinds,
                name="small-plain",
                folder=self.folder / "trained",
                seed=0,
                epochs=1,
                images=16,
                held_out=16,
                batch_size=16,
                learning_rate=0.004,
                early=0,
                device="cpu",
                progress=False,
            ),
        }

    def _measures(self) -> dict[str, Call]:
        x, y = self.one, assembly(3, 5)
        two = {"x": x, "y": y}
        return {
            "distances.angle": _call(cv.distances.angle, {"cosine": "number"}, cosine=0.5),
            "distances.chord": _call(cv.distances.chord, {"cosine": "number"}, cosine=0.5),
            "distances.angular": _call(cv.distances.angular, {"alpha": "number"}, **two, alpha=0.5),
            **{
                f"distances.{name}": _call(getattr(cv.distances, name), **two)
                for name in ("euclidean", "permutation", "soft_matching")
            },
            "transport_plan": _call(cv.transport_plan, **two),
            "references.cka": _call(cv.references.cka, **two, debiased=True),
            "references.mutual_knn": _call(cv.references.mutual_knn, **two, k=3),
            "references.rsa": _call(
                cv.references.rsa,
                {"compare": "text", "rdm": "text"},
                **two,
                compare="spearman",
                rdm="correlation",
            ),
        }

    def _questions(self) -> dict[str, Call]:
        few = {"folds": FOLDS, "device": "cpu", "study": None, "progress": False}
        sizes = {"source_units": [5], "target_units": [6, 7]}
        early = {"early": 1.0, "level": 0.9, "accuracy": None, "controls": None, "pairs": None}
        nested = {"source": "any", "target": "any", "early": "number"}
        more = {"units": "flag", "min_reliability": "reliability", "device": "text"}
        optional = frozenset({"study", "progress", "bootstrap", "shuffle", "ceiling"})
        calls = {
            "score": _call(
                cv.score,
                more,
                source=self.layers,
                target=self.trials,
                metrics=["linear"],
                ceiling="split-half",
                min_reliability=0.1,
                units=True,
                bootstrap=None,
                shuffle=None,
                **few,
            ),
            "compare": _call(
                cv.compare, first=self.one, second=self.other, references="cka", **few
            ),
            "privileged_axis": _call(
                cv.privileged_axis,
                source=self.one,
                target=self.other,
                metrics="soft-matching",
                rotations=2,
                seed=1,
                **few,
            ),
            "hierarchy": _call(
                cv.hierarchy,
                source=self.layers,
                target=self.layers,
                metrics="procrustes",
                controls=None,
                level=0.9,
                ceiling=None,
                **few,
            ),
            "shift": _call(
                cv.shift,
                nested,
                source=self.conditions,
                target=self.conditions,
                metrics="procrustes",
                controls=None,
                accuracy=None,
                level=0.9,
                **few,
            ),
            "trajectory": _call(
                cv.trajectory,
                nested,
                runs=self.runs,
                metrics="procrustes",
                **early,
                ceiling=None,
                **few,
            ),
            "forecast": _call(
                cv.forecast, source=self.one, target=self.other, metrics="linear", folds=FOLDS
            ),
            "forecast_sizes": _call(
                cv.forecast_sizes,
                {"folds": "count"},
                n_stimuli=20,
                **sizes,
                metrics="linear",
                folds=5,
            ),
            "Forecast": _call(
                cv.Forecast, pairs=1, folds=5, seconds={"linear": 2.0}, memory=8e8, reading=4e8
            ),
            "rotated": _call(cv.rotated, nested | {"seed": "any"}, source=self.one, seed=1),
            "shuffled": _call(cv.shuffled, nested, source=self.one, seed=1),
            "findings": _call(cv.findings, folder=self.folder / "findings", plan=None),
        }
        return {
            name: Call(c.function, c.arguments, c.kinds, c.optional | optional)
            for name, c in calls.items()
        }

    def _tables(self) -> dict[str, Call]:
        scores = self.scores
        between = {"between": "text", "value": "text", "reference": "text"}
        return {
            "summary": _call(cv.summary, scores=scores, level=0.9),
            "differences": _call(
                cv.differences,
                between,
                scores=scores,
                between="source",
                value="r",
                reference=None,
                level=0.9,
            ),
            "table": _call(cv.table, between, scores=scores, value="r"),
            "best": _call(cv.best, between, scores=scores, value="r", level=0.9),
            "against": _call(cv.against, {"controls": "any"}, scores=scores, controls=[scores]),
            "report": _call(
                cv.report,
                {"result": "any"},
                result=scores,
                path=self.folder / "report.html",
                title="Scores",
                figures=None,
            ),
        }

    def _features(self) -> dict[str, Call]:
        f, pair = cv.features, {"source": self.one, "target": self.other}
        single = {"source": "assembly", "target": "assembly"}
        few = {"folds": cv.Folds(3), "study": None, "progress": False}
        draws = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(8, refits=2)}
        thresholds = {"alpha": 0.05, "shared": 0.7}
        zero = {"halves": "number from 0", "rotations": "number from 0"}
        calls = {
            "agreement": _call(
                f.agreement,
                {"one": "result", "other": "result"},
                one=self.matches,
                other=self.matches,
            ),
            "best_stimuli": _call(f.best_stimuli, assembly=self.one, k=2),
            "claims": _call(
                f.claims, layers=self.overview.layers, networks=[("a", "b")], level=0.9
            ),
            "cluster_table": _call(f.cluster_table, found=self.steps["clusters"]),
            "clusters": _call(
                f.clusters,
                single | zero,
                **pair,
                k=2,
                edges="absolute",
                floor=0.0,
                halves=1,
                rotations=1,
                seed=1,
                **few,
            ),
            "correlations": _call(f.correlations, single, **pair, study=None, progress=False),
            "local_or_distributed": _call(
                f.local_or_distributed, zero, **pair, predictions=None, rotations=1, seed=1, **few
            ),
            "match_summary": _call(f.match_summary, matches=self.matches, **thresholds),
            "match_units": _call(
                f.match_units, single, **pair, measure="correlation", level=0.9, **few, **draws
            ),
            "mutual_information": _call(
                f.mutual_information,
                single,
                **pair,
                estimator="bins",
                bins=3,
                neighbours=3,
                study=None,
                progress=False,
            ),
            "overview": _call(
                f.overview,
                zero,
                source={"layer": self.one},
                target=self.other,
                k=None,
                rotations=1,
                seed=1,
                **few,
                **draws,
            ),
            "partial_matching": _call(f.partial_matching, single, **pair, shares=(0.5, 1.0), **few),
            "sparse_prediction": _call(
                f.sparse_prediction, single, **pair, penalties=(1.0, 0.1), **few
            ),
            "sparse_table": _call(f.sparse_table, prediction=self.steps["sparse"]),
            "unit_table": _call(f.unit_table, matches=self.matches, **thresholds),
            "Overview.table": _call(self.overview.table, {"kind": "text"}, kind="units"),
        }
        optional = frozenset({"study", "progress", "shuffle", "bootstrap"})
        return {
            f"features.{name}": Call(c.function, c.arguments, c.kinds, c.optional | optional)
            for name, c in calls.items()
        }

    def _figures(self) -> dict[str, Call]:
        p, pair = cv.plot, {"source": self.one, "target": self.other}
        correlations = self.steps["correlations"]
        settings = {"metrics": "procrustes", "folds": FOLDS}
        names = tuple(NAMES)
        pictures = cv.Stimuli.from_arrays([np.zeros((8, 8))] * len(names), names)
        single = {"source": "assembly", "target": "assembly", "patch": "positive"}
        results = {"results": "result"}
        hierarchy = cv.hierarchy(self.layers, self.layers, **settings)
        trajectory = cv.trajectory(self.runs, **settings)
        calls = {
            "activation_spectra": _call(p.activation_spectra, correlations=correlations),
            "correlation_matrices": _call(p.correlation_matrices, correlations=correlations),
            "best_stimuli": _call(
                p.best_stimuli,
                single | {"stimuli": "stimuli", "units": "names"},
                found=self.matches,
                **pair,
                stimuli=pictures,
                units=["unit0"],
                k=2,
                patch=0.4,
            ),
            "clusters": _call(p.clusters, found=self.steps["clusters"]),
            "distortions": _call(
                p.distortions, {"stimuli": "any"}, stimuli=self.images, name=None, seed=1
            ),
            "findings": _call(p.findings, {"found": "any"}, found=None),
            "depth_profiles": _call(
                p.depth_profiles, results, results=trajectory, steps=None, unit="epoch", labels=None
            ),
            "emergence": _call(p.emergence, results, results=trajectory, unit="epochs"),
            "hierarchy": _call(p.hierarchy, results, results=hierarchy, labels=None),
            "matched_layers": _call(p.matched_layers, results, results=hierarchy),
            "layer_figures": _call(
                p.layer_figures, {"found": "any"}, found=self.overview, layer="layer"
            ),
            "locality": _call(p.locality, found=self.steps["locality"]),
            "matches": _call(p.matches, found=self.matches, alpha=0.05, shared=0.7),
            "overview": _call(p.overview, {"found": "any"}, found=self.overview),
            "partial_matching": _call(p.partial_matching, found=self.steps["partial"]),
            "scores": _call(p.scores, results, results=self.scores),
            "shift": _call(
                p.shift,
                results,
                results=cv.shift(self.conditions, self.conditions, **settings),
                unit="level",
                value="r",
            ),
            "sparse_prediction": _call(p.sparse_prediction, prediction=self.steps["sparse"]),
            "trajectory": _call(p.trajectory, results, results=trajectory, unit="epochs"),
        }
        calls |= self._figures_of_scores()
        return {f"plot.{name}": call for name, call in calls.items()}

    def _figures_of_scores(self) -> dict[str, Call]:
        p, texts = (
            cv.plot,
            dict.fromkeys(("value", "reference", "source", "target", "kind"), "text"),
        )
        places = {f"voxel_{axis}": ("unit", range(3)) for axis in "ijk"}
        settings = {"metrics": "linear", "folds": FOLDS, "ceiling": None}
        voxels = cv.score(
            self.one, cv.Assembly(self.other.data[:, :3].assign_coords(places)), **settings
        )
        compared = cv.compare(self.one, self.other, references="cka", folds=FOLDS)
        return {
            "compare": _call(
                p.compare, texts | {"result": "result"}, result=compared, kind="similarity"
            ),
            "differences": _call(
                p.differences, texts, scores=self.scores, value="r", reference=None, level=0.9
            ),
            "networks": _call(
                p.networks,
                texts | {"scores_by_network": "any"},
                scores_by_network={"one": self.scores},
                value="r",
            ),
            "units": _call(p.units, texts, scores=self.scores, value="r"),
            "voxels": _call(
                p.voxels, texts | {"slices": "count"}, scores=voxels, value="r", slices=2
            ),
        }


_CARD = ("name", "title", "version", "description", "licence", "citation", "regions", "subjects")
_CARD += ("folder",)


@cache
def public() -> set[str]:
    """Names of all public functions, classes, and methods that take data."""
    found = set()
    packages = ("features", "plot", "formats", "simulate", "distances", "references")
    for package in ("", *packages):
        home = getattr(cv, package) if package else cv
        for name in home.__all__:
            value = getattr(home, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                found.add(f"{package}.{name}".strip("."))
    for kind in (cv.Assembly, cv.Stimuli, cv.Folds):
        found |= {
            f"{kind.__name__}.{name}"
            for name, method in vars(kind).items()
            if not name.startswith("_")
            and (inspect.isfunction(method) or isinstance(method, classmethod))
        }
    # an exception, a subclass of matplotlib's Figure, and a result that no user makes
    return found - {"InputError", "plot.Picture", "features.Overview"}
