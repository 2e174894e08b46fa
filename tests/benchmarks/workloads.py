"""What is timed: arrays, convergent's program on them, and that of the library one would take.

A workload makes its arrays once, as files in a folder; each program loads them in a process of its
own, and is timed from there. A program returns what it found, by name: numbers and arrays, or
functions that are called once the clock has stopped. ``stands_for`` is how many times its seconds
the whole would take, where it did a part.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import direct
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LassoCV

import convergent as cv
from convergent import Population
from convergent.base.arrays import to_numpy
from convergent.metrics.column_generation import optimal_plan
from convergent.metrics.procrustes import nuclear_norm
from convergent.protocol.resampling import draw_resamples

Data = dict[str, Any]  # arrays by the names of their files, and "folder" and "device"
Found = Mapping[str, Any]

PENALTIES = np.logspace(-4, 6, 20)
LATENTS = 256


class Asked(NamedTuple):
    """What is asked of a comparison."""

    ratio: float | None = None  # the peer's seconds over convergent's, at least
    seconds: float | None = None  # at most
    peak_gb: float | None = None  # of memory, all in all, at most

    def __str__(self) -> str:
        units = zip(self, ("x", " s", " GB"), strict=True)
        return ", ".join(f"{value:.3g}{unit}" for value, unit in units if value is not None)

    def met(self, ratio: float, seconds: float, peak_gb: float) -> bool:
        """Whether this is no less than asked."""
        return (
            ratio >= (self.ratio or 0)
            and seconds <= (self.seconds or np.inf)
            and peak_gb <= (self.peak_gb or np.inf)
        )


NOTHING = Asked()


@dataclass(frozen=True)
class Program:
    """One way to do the work.

    `rounds` is the most that are run; `needs` a module without which it is left out.
    """

    run: Callable[[Data], Found]
    asked: Asked = NOTHING
    rounds: int | None = None
    needs: str | None = None


def arrays(folder: Path, _program: str) -> Data:
    """All arrays of a folder, by the names of their files."""
    return {file.stem: np.load(file) for file in sorted(folder.glob("*.npy"))}


@dataclass(frozen=True)
class Workload:
    """Programs that do the same work on the same arrays; the first is convergent's.

    `agreement` names and measures how far convergent's answers (first) lie from a peer's, or, where
    there is none, what is to be known of its own.
    """

    title: str
    make: Callable[[Path, bool], None]
    programs: dict[str, Program]
    agreement: Callable[[Found, Found | None], dict[str, float]]
    load: Callable[[Path, str], Data] = arrays
    possible: Callable[[], bool] = lambda: True


# Arrays


def populations(n: int, counts: list[int], seed: int = 0) -> list[np.ndarray]:
    """Activations (n, p), float32 as `convergent.extract` gives them, for each of some counts p.

    All mix the same latent variables, whose variance falls off as 1/k, with noise that differs from
    unit to unit, as do mean and scale: no penalty, map or partner suits all.
    """
    rng = np.random.default_rng(seed)
    return [_mixture(_latents(n), p, rng) for p in counts] if counts else []


def _latents(n: int) -> np.ndarray:
    strength = np.arange(1, LATENTS + 1) ** -0.5
    return np.random.default_rng([n, 1]).standard_normal((n, LATENTS)) * strength


def _mixture(latents: np.ndarray, p: int, rng: np.random.Generator) -> np.ndarray:
    signal = latents @ rng.standard_normal((LATENTS, p)) / np.sqrt((latents**2).sum(1).mean())
    noise = rng.uniform(0.3, 2, p) * rng.standard_normal(signal.shape)
    scale, mean = rng.lognormal(0, 0.5, p), rng.normal(0, 1, p)
    return ((signal + noise) * scale + mean).astype(np.float32)


def pair(full: tuple[int, int, int], tiny: tuple[int, int, int], folder: Path, small: bool) -> None:
    """Write a source x and a target y of so many stimuli, units and targets."""
    n, p, q = tiny if small else full
    for name, values in zip("xy", populations(n, [p, q]), strict=True):
        np.save(folder / f"{name}.npy", values)


def standardised(folder: Path, program: str) -> Data:
    """Columns centred and of norm 1, float64, without silent ones."""
    data = arrays(folder, program)
    for name in "xy":
        values = data[name].astype(float)
        values -= values.mean(0)
        length = np.linalg.norm(values, axis=0)
        responsive = length > 1e-6 * length.max()
        data[name] = values[:, responsive] / length[responsive]
    return data


def on(data: Data, *names: str) -> list[Any]:
    """Some arrays, on the device that was asked for."""
    return [torch.as_tensor(data[name], device=data["device"]) for name in names]


def assembly(values: Any) -> cv.Assembly:
    """Labels for an array: its stimuli keep their order."""
    return cv.Assembly.from_array(values, stimuli=[f"{i:05d}" for i in range(len(values))])


# Ridge


def ridge_ours(data: Data) -> Found:
    x, y = map(Population, on(data, "x", "y"))
    metric, found = cv.Linear(tuple(PENALTIES)), []
    for fold in direct.folds(data["x"]):
        fitted = metric.fit(x.fold(*fold), y.fold(*fold))
        found.append((fitted.score().r, fitted.penalties))
    return dict(zip(("r", "penalties"), map(np.array, zip(*found, strict=True)), strict=True))


def ridge_sklearn(data: Data) -> Found:
    x, y = data["x"], data["y"]
    found = [
        direct.linear(x[train], y[train], x[test], y[test], PENALTIES)
        for train, test in direct.folds(x)
    ]
    return dict(zip(("r", "penalties"), map(np.array, zip(*found, strict=True)), strict=True))


def ridge_himalaya(backend: str, data: Data) -> Found:
    """himalaya in float32 and in batches, the settings it is fastest with."""
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV

    # found by trying both solvers, batches of all sizes, float32 and float64
    best: dict[str, Any] = {"solver": "eigenvalues", "solver_params": {"n_targets_batch": 100}}
    if backend == "numpy":
        best = {"solver": "svd", "solver_params": {"n_alphas_batch": 5}}
    elif data["device"] != "cpu":
        backend, best = "torch_cuda", {}
    place = set_backend(backend)
    scores = []
    for train, test in direct.folds(data["x"]):
        sides = []
        for values in (data["x"], data["y"]):
            mean = values[train].mean(0, dtype=float).astype(np.float32)
            sides.append((place.asarray(values[train] - mean), place.asarray(values[test] - mean)))
        (x, x_test), (y, y_test) = sides
        penalties = direct.absolute(PENALTIES, data["x"][train]).astype(np.float32)
        ridge = KernelRidgeCV(penalties, kernel="linear", cv=5, **best).fit(x, y)
        scores.append(direct.pearson(*map(to_numpy, (ridge.predict(x_test), y_test))))
    return {"r": np.array(scores)}


def ridge_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    if peer is None:
        return {}
    apart = np.abs(ours["r"] - peer["r"])
    if "penalties" not in peer:  # chosen by another rule
        return {"median difference of r": float(np.median(apart))}
    same = np.isclose(ours["penalties"], peer["penalties"], rtol=1e-3)
    return {
        "share of same penalties": float(same.mean()),
        "largest difference of r": float(apart.max()),
    }


# Procrustes


def procrustes_ours(data: Data) -> Found:
    x, y = map(Population, on(data, "x", "y"))
    every = direct.folds(data["x"])
    scores = [cv.Procrustes().fit(x.fold(*fold), y.fold(*fold)).score().r for fold in every]

    def nuclear() -> float:
        a, b = (side.fold(*every[0]).coordinates.train for side in (x, y))
        return nuclear_norm(a.T @ b)

    return {"r": np.array(scores[:1]), "nuclear": nuclear}


def procrustes_scipy(dtype: type, data: Data) -> Found:
    """One fold; takes minutes."""
    x, y = (data[name].astype(dtype) for name in "xy")
    every = direct.folds(x)
    train, test = every[0]
    _, nuclear, within = direct.full_procrustes(x[train], y[train], x[test], y[test])
    return {"nuclear": nuclear, "r": lambda: within()[None], "stands_for": len(every)}


def procrustes_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    if peer is None:
        return {}
    return {
        "relative difference of nuclear norms": float(abs(peer["nuclear"] / ours["nuclear"] - 1)),
        "largest difference of r": float(np.abs(ours["r"] - peer["r"]).max()),
    }


# Soft matching, from standardised arrays to the plan


def plan_ours(data: Data) -> Found:
    x, y = on(data, "x", "y")
    plan = optimal_plan(x, y)

    def objective() -> float:
        return sum(
            float(mass * (data["x"][:, i] @ data["y"][:, j]))
            for i, j, mass in zip(plan.source, plan.target, plan.mass, strict=True)
        )

    about = {name: getattr(plan, name) for name in ("violation", "rounds", "pairs")}
    return {"objective": objective, **about}


def plan_scipy(data: Data) -> Found:
    similarity = data["x"].T @ data["y"]
    matched = linear_sum_assignment(similarity, maximize=True)
    return {"objective": lambda: similarity[matched].mean()}


def plan_pot(data: Data) -> Found:
    similarity = data["x"].T @ data["y"]
    plan = direct.transport(similarity)
    return {"objective": lambda: (plan * similarity).sum()}


def plan_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    if peer is not None:
        return {"difference of objectives": float(ours["objective"] - peer["objective"])}
    return {name: float(ours[name]) for name in ("objective", "violation", "rounds", "pairs")}


def real_layers(folder: Path, small: bool) -> None:
    """All positions of two networks' layers: 9,408 and 25,200 units."""
    if small:
        pair((100, 80, 60), (100, 80, 60), folder, small)
        return
    for name, version in (("x", 0), ("y", 1)):
        network = cv.network(f"efficientnet-lite{version}")
        np.save(
            folder / f"{name}.npy", positions(network, "_blocks.11", recording()[0]).data.values
        )


# Twelve layers against twelve


PAIRS = ((0, 0), (3, 7), (11, 5))  # these alone are done by the loop


def sweep_arrays(folder: Path, small: bool) -> None:
    n, p = (60, 30) if small else (1000, 2048)
    np.save(folder / "layers.npy", np.stack(populations(n, [p] * 24)))


def sweep_ours(data: Data) -> Found:
    sides = data["layers"][:12], data["layers"][12:]
    ours, theirs = ({f"{i:02d}": assembly(v) for i, v in enumerate(side)} for side in sides)
    score = partial(cv.score, ceiling=None, device=data["device"], progress=False)
    score(ours, theirs, units=False)

    def first_fold() -> np.ndarray:
        some = (score(ours[f"{i:02d}"], theirs[f"{j:02d}"]) for i, j in PAIRS)
        return np.stack([scores["r"].values[:, 0, 0] for scores in some])

    return {"r": first_fold}


def sweep_loop(data: Data) -> Found:
    """scikit-learn, scipy and POT on a few pairs and one fold."""
    scores, every = [], direct.folds(data["layers"][0])
    train, test = every[0]
    for i, j in PAIRS:
        x, y = data["layers"][i].astype(float), data["layers"][12 + j].astype(float)
        fold = x[train], y[train], x[test], y[test]
        turned = direct.full_procrustes(*fold)[2]
        scores.append((direct.linear(*fold)[0], turned, direct.soft_matching(*fold)))
    return {
        "r": lambda: np.stack([[ridge, turned(), soft] for ridge, turned, soft in scores]),
        "stands_for": 144 * len(every) / len(PAIRS),
    }


def sweep_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    if peer is None:
        return {}
    apart = np.abs(ours["r"] - peer["r"]).max(axis=(0, 2))
    names = ("linear", "procrustes", "soft-matching")
    return {
        f"largest difference of r, {name}": float(d) for name, d in zip(names, apart, strict=True)
    }


# A recording, and shuffles of it


def recording() -> tuple[cv.Stimuli, cv.Assembly]:
    """Macaque V4 where the files are, else the virtual cortex."""
    if (cv.data_root() / "cowley2023/images/images_210325.zip").exists():
        return cv.load("cowley2023", session="210325")
    return cv.load("virtual-cortex")


def positions(network: cv.Network, layer: str, stimuli: cv.Stimuli) -> cv.Assembly:
    """Activations at all positions of a layer."""
    return cv.extract(network, stimuli, [layer], spatial="flatten", progress=False)[layer]


def recording_arrays(layer: str, folder: Path, small: bool) -> None:
    """All positions of a layer, and the mean responses to the same stimuli."""
    if small:
        pair((60, 100, 20), (60, 100, 20), folder, small)
        return
    stimuli, responses = recording()
    activations = positions(cv.network("efficientnet-lite0"), layer, stimuli)
    x, y = cv.align(activations, responses.average())
    np.save(folder / "x.npy", x.data.values)
    np.save(folder / "y.npy", y.data.values)


def score_ours(data: Data) -> Found:
    settings = {"ceiling": None, "device": data["device"], "progress": False}
    scores = cv.score(assembly(data["x"]), assembly(data["y"]), **settings)
    return {"r": np.array(cv.summary(scores)["r"])}


def score_direct(data: Data) -> Found:
    return {"r": np.array(direct.score(data["x"], data["y"], cv.METRICS))}


SHUFFLED = ["linear", "procrustes"]
SHUFFLES, SHUFFLES_DIRECT = 1000, 2


def shuffles_ours(data: Data) -> Found:
    number = SHUFFLES if len(data["x"]) > 100 else 10
    scores = cv.score(
        assembly(data["x"]),
        assembly(data["y"]),
        SHUFFLED,
        ceiling=None,
        shuffle=cv.Shuffle(number),
        device=data["device"],
        progress=False,
    )
    null = scores["r_shuffled"].values[:, 0, 0, :SHUFFLES_DIRECT]
    return {"r": null, "stands_for": SHUFFLES / number}


def shuffles_direct(data: Data) -> Found:
    x, y = data["x"], data["y"]
    orders = draw_resamples(None, cv.Shuffle(SHUFFLES_DIRECT), direct.folds(x)).orders
    null = [direct.score(x, y[order], SHUFFLED) for order in orders]
    return {"r": np.array(null).T, "stands_for": SHUFFLES / SHUFFLES_DIRECT}


def r_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    return (
        {}
        if peer is None
        else {"largest difference of r": float(np.abs(ours["r"] - peer["r"]).max())}
    )


# Extraction


LAYERS = ["_conv_stem", *(f"_blocks.{i}" for i in (1, 3, 5, 8, 11, 13, 15))]


def images(folder: Path, small: bool) -> None:
    """Simulated images, where there are no others."""
    if small or not os.environ.get("CONVERGENT_DATA"):
        np.save(folder / "images.npy", cv.simulate.natural_images(32 if small else 640))


def shown(folder: Path, program: str) -> Data:
    """The network and its stimuli; for the bare forward pass, prepared batches."""
    network = cv.network("efficientnet-lite0")
    if (folder / "images.npy").exists():
        pictures = np.load(folder / "images.npy")
        stimuli = cv.Stimuli.from_arrays(pictures, [f"{i:03d}" for i in range(len(pictures))])
    else:
        stimuli = recording()[0]
    data: Data = {"network": network, "stimuli": stimuli}
    if program == "bare":
        tensors = [network.preprocess(stimuli[name]) for name in stimuli.names]
        data["batches"] = [
            torch.stack(tensors[start : start + 32]).contiguous(memory_format=torch.channels_last)
            for start in range(0, len(tensors), 32)
        ]
    return data


def extract_ours(data: Data) -> Found:
    place = {"device": data["device"], "progress": False}
    layers = cv.extract(data["network"], data["stimuli"], LAYERS, spatial="mean", **place)
    return {"last": layers[LAYERS[-1]].data.values}


class _FarEnough(Exception):
    pass


def bare_forward(data: Data) -> Found:
    """The network alone, through the last layer that is asked for."""
    module = data["network"].module.eval().to(memory_format=torch.channels_last)
    module.to(data["device"])
    outputs = []

    def keep(_part: Any, _inputs: Any, output: torch.Tensor) -> None:
        outputs.append(output)
        raise _FarEnough

    with torch.inference_mode():
        module.get_submodule(LAYERS[-1]).register_forward_hook(keep)
        for batch in data["batches"]:
            with contextlib.suppress(_FarEnough):
                module(batch.to(data["device"]))
    return {"last": lambda: torch.cat([o.mean((2, 3)) for o in outputs]).cpu().numpy()}


def extract_agreement(ours: Found, peer: Found | None) -> dict[str, float]:
    if peer is None:
        return {}
    apart = np.abs(ours["last"] - peer["last"]).max() / np.abs(peer["last"]).max()
    return {"largest difference of activations, relative": float(apart)}


# A layer that does not fit


def store(folder: Path, small: bool) -> None:
    """A layer of 4 GB, written block by block, and a target of 1,000 units."""
    n, p, q, chunk = (60, 400, 20, (20, 100)) if small else (5000, 200_000, 1000, (312, 3355))
    latents = _latents(n)

    def block(block_info: Any = None) -> np.ndarray:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        # mixing belongs to the columns, noise to the block
        mixing = np.random.default_rng([left]).standard_normal((LATENTS, right - left))
        noise = np.random.default_rng([left, top]).standard_normal((bottom - top, right - left))
        return (latents[top:bottom] @ mixing + 2 * noise).astype(np.float32)

    chunks = tuple(
        tuple(min(step, size - start) for start in range(0, size, step))
        for size, step in zip((n, p), chunk, strict=True)
    )
    assembly(da.map_blocks(block, chunks=chunks, dtype=np.float32)).save(folder / "layer.zarr")
    np.save(folder / "target.npy", populations(n, [q])[0])


def opened(folder: Path, program: str) -> Data:
    """The layer on disk, or in memory."""
    data, layer = arrays(folder, program), cv.open(folder / "layer.zarr")
    if program == "memory":
        layer = cv.Assembly(layer.data.load())
    return data | {"layer": layer}


def store_ours(data: Data) -> Found:
    scores = cv.score(
        data["layer"],
        assembly(data["target"]),
        ["linear", "procrustes"],
        ceiling=None,
        units=False,
        device=data["device"],
        progress=False,
    )
    return {"r": scores["r"].values}


# Sparse prediction: penalties chosen within the training stimuli of each fold

SHARES = np.logspace(0, -2, 20)


def sparse_ours(data: Data) -> Found:
    one, other = (assembly(data[name]) for name in "xy")
    found = cv.features.sparse_prediction(one, other, penalties=tuple(SHARES), progress=False)
    return {"r": found["r"].sel(model="lasso-best").values}


def sparse_sklearn(data: Data) -> Found:
    """`LassoCV` of each target unit, on standardized units, with the other folds within."""
    x, y = (data[name].astype(np.float64) for name in "xy")
    splits = cv.Folds().split(len(x))
    r = np.empty((len(splits), y.shape[1]))
    for fold, (train, test) in enumerate(splits):
        z, w = ((side - side[train].mean(0)) / side[train].std(0) for side in (x, y))
        others = [np.isin(train, part) for k, (_, part) in enumerate(splits) if k != fold]
        within = [(np.flatnonzero(~part), np.flatnonzero(part)) for part in others]
        most = np.abs(z[train].T @ w[train]).max(0) / len(train)
        for unit in range(y.shape[1]):
            fitted = LassoCV(alphas=most[unit] * SHARES, cv=within).fit(z[train], w[train, unit])
            told = fitted.predict(z[test])[:, None]
            r[fold, unit] = np.nan_to_num(direct.pearson(told, w[test, unit, None]))[0]
    return {"r": r}


# All of them


WORKLOADS: dict[str, Workload] = {
    "ridge": Workload(
        "ridge: 1,000 stimuli, 8,192 units -> 1,000 targets, 5 folds, 20 penalties",
        partial(pair, (1000, 8192, 1000), (100, 300, 20)),
        {
            "convergent": Program(ridge_ours),
            "scikit-learn": Program(ridge_sklearn, Asked(12)),
            "himalaya-torch": Program(partial(ridge_himalaya, "torch"), Asked(3), needs="himalaya"),
            "himalaya-numpy": Program(partial(ridge_himalaya, "numpy"), needs="himalaya"),
        },
        ridge_agreement,
    ),
    "procrustes": Workload(
        "Procrustes: 1,000 stimuli, 8,192 x 8,192 units, 5 folds",
        partial(pair, (1000, 8192, 8192), (100, 300, 300)),
        {
            "convergent": Program(procrustes_ours),
            "scipy": Program(partial(procrustes_scipy, np.float64), Asked(60), rounds=1),
            "scipy-float32": Program(partial(procrustes_scipy, np.float32), rounds=1),
        },
        procrustes_agreement,
    ),
    "permutation": Workload(
        "permutation: 1,000 stimuli, 4,096 x 4,096 units",
        partial(pair, (1000, 4096, 4096), (100, 80, 80)),
        {
            "convergent": Program(plan_ours),
            "scipy": Program(plan_scipy, Asked(3)),
            "pot": Program(plan_pot, Asked(6)),
        },
        plan_agreement,
        standardised,
    ),
    "soft-matching": Workload(
        "soft matching: 1,000 stimuli, 4,096 x 3,072 units",
        partial(pair, (1000, 4096, 3072), (100, 80, 60)),
        {"convergent": Program(plan_ours), "pot": Program(plan_pot, Asked(4))},
        plan_agreement,
        standardised,
    ),
    "soft-matching-large": Workload(
        "soft matching: 1,000 stimuli, 20,000 x 20,000 units",
        partial(pair, (1000, 20_000, 20_000), (100, 200, 200)),
        {"convergent": Program(plan_ours, Asked(seconds=120, peak_gb=3))},
        plan_agreement,
        standardised,
    ),
    "soft-matching-real": Workload(
        "soft matching: all positions of two networks' layers, 640 images",
        real_layers,
        {"convergent": Program(plan_ours)},
        plan_agreement,
        standardised,
        lambda: "CONVERGENT_DATA" in os.environ,
    ),
    "sweep": Workload(
        "sweep: 12 x 12 layers of 2,048 units, 1,000 stimuli, three metrics, 5 folds",
        sweep_arrays,
        {
            "convergent": Program(sweep_ours),
            "loop": Program(sweep_loop, Asked(10)),
        },
        sweep_agreement,
    ),
    "extraction": Workload(
        "extraction: 8 layers of EfficientNet-lite0, 640 images",
        images,
        {"convergent": Program(extract_ours), "bare": Program(bare_forward, Asked(0.9))},
        extract_agreement,
        shown,
        lambda: find_spec("efficientnet_lite_pytorch") is not None,
    ),
    "store": Workload(
        "store: 5,000 stimuli, 200,000 units (4 GB) from zarr -> 1,000 targets; against memory",
        store,
        {
            "convergent": Program(store_ours),
            "memory": Program(store_ours, Asked(1 / 1.5, peak_gb=1.5)),
        },
        r_agreement,
        opened,
    ),
    "sparse-prediction": Workload(
        "sparse prediction: 20,000 stimuli, 128 -> 32 units, 5 folds, 20 penalties chosen within",
        partial(pair, (20_000, 128, 32), (120, 12, 4)),
        {"convergent": Program(sparse_ours), "scikit-learn": Program(sparse_sklearn, rounds=1)},
        r_agreement,
    ),
    "recording": Workload(
        "recording: all positions of a layer -> a brain, three metrics, 5 folds",
        partial(recording_arrays, "_blocks.8"),
        {"convergent": Program(score_ours), "direct": Program(score_direct)},
        r_agreement,
    ),
    "shuffles": Workload(
        f"{SHUFFLES} shuffles: all positions of a layer -> a brain, two metrics, 5 folds",
        partial(recording_arrays, "_blocks.11"),
        {"convergent": Program(shuffles_ours), "direct": Program(shuffles_direct)},
        r_agreement,
    ),
}
