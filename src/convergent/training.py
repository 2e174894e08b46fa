"""Train small networks, keeping weights from along the way."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from .batch_statistics import new_batch_statistics
from .devices import torch_device
from .drawings import CATEGORIES, drawings
from .errors import InputError, examples, unknown
from .progress import track
from .small_networks import SIZE, SMALL, SmallNetwork, as_input, pixels
from .stimuli import Stimuli
from .storage import write_whole

__all__ = ["BATCH_SIZE", "N_HELD_OUT", "N_IMAGES", "train"]

BATCH_SIZE = 32
N_IMAGES, N_HELD_OUT = 8_000, 1_600  # drawings that are learned from, and that are not
HELD_OUT_SEED = 1
LEAST_CLASSES = 2
CALIBRATION_IMAGES = 512  # shown to set batch statistics
WEIGHT_DECAY = 0.02
WARM_UP = 0.02  # share of all steps in which the learning rate rises
COLUMNS = {"epoch": float, "step": int, "images_seen": int, "loss": float, "accuracy": float}
LOG, SETTINGS, STATE = "log.csv", "settings.json", "state.pt"


def train(
    name: str,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int = 12,
    images: Stimuli | int = N_IMAGES,
    held_out: Stimuli | int = N_HELD_OUT,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = 0.004,
    early: int = 8,
    device: str = "cpu",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Train a small network to tell categories apart, and keep its weights from along the way.

    AdamW with weight decay 0.02 on the cross-entropy; the learning rate rises over the first 2% of
    the steps, and falls to 0 as half a cosine. Interrupted and called again with the same
    arguments, it goes on from the last checkpoint and ends with the same weights, bit by bit (on
    the same machine, with as many threads); a finished training is not done again.

    Weights are kept at the start, `early` times within the first epoch, evenly on a logarithmic
    scale from its first step on, since most happens early, and after each epoch. What batch
    normalisation divides by is set anew for each checkpoint, with the weights as they are, on 512
    of the training images: running averages would still hold those of weights from steps before,
    or at the start of none at all. Training itself does not use it.

    Parameters
    ----------
    name : str
        ``"small-plain"`` or ``"small-residual"``.
    folder : path
        For what is written: ``epoch-00.000.pt`` (a ``state_dict``, for `network`), ..., by epochs
        since the start, which `checkpoints` finds; ``log.csv``; ``settings.json``; and until it is
        finished ``state.pt``, from which it would go on.
    seed : int
        Draws the initial weights, which are those of ``network(name, pretrained=False,
        seed=seed)``, and the order of the images.
    epochs : int
        How often each image is shown.
    images : Stimuli or int
        What is learned from, with a column ``category`` in its table; or how many `drawings`, which
        are the same for all seeds.
    held_out : Stimuli or int
        What accuracy is measured on, of the same categories.
    batch_size : int
        Images in a step; those left over at the end of an epoch are not shown.
    learning_rate : float
        The greatest.
    early : int
        Checkpoints within the first epoch; fewer where it has fewer steps.
    device : str
        Where torch computes, such as ``"cuda"``.
    progress : bool, optional
        Whether to draw a bar on stderr; where left out, only on a terminal.

    Returns
    -------
    pandas.DataFrame
        The log, one row a checkpoint: ``epoch``, ``step``, ``images_seen``, ``loss`` (mean over the
        steps since the row before; in the first row before any step), ``accuracy`` (share of the
        held-out images).

    Raises
    ------
    InputError
        Where there is no such network, the folder holds a training with other settings, images have
        no category or held-out ones another, or a number is out of its range.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710 (convergence over training); Loshchilov and
    Hutter 2019, ICLR (AdamW); Wu and Johnson 2021, arXiv 2105.07576 (batch statistics set anew).
    """
    if name not in SMALL:
        raise unknown("network that can be trained", name, SMALL)
    _check_numbers(seed=seed, epochs=epochs, batch_size=batch_size, early=early)
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate={learning_rate}: give a number above 0, such as 0.004.")
    place, run = torch_device(device), Path(folder)
    learned, load = _source(images, 0)
    tested, load_tested = _source(held_out, HELD_OUT_SEED)
    if learned["n"] < batch_size:
        raise InputError(
            f"{learned['n']} images are fewer than a batch of {batch_size}: give more, or a lesser "
            "batch_size."
        )
    settings = {
        "network": name,
        "seed": int(seed),
        "epochs": int(epochs),
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "weight_decay": WEIGHT_DECAY,
        "early": int(early),
        "device": place.type,  # another computes with another rounding
        "images": learned,
        "held_out": tested,
    }
    _check_same(run, settings)
    plan = _Plan.of(settings)
    if not plan.finished(run):
        _train(run, settings, plan, load(), load_tested(), place, progress)
    return pd.read_csv(run / LOG, dtype=str).astype(COLUMNS)  # as exact as it was written


def _check_numbers(**numbers: int) -> None:
    for key, value in numbers.items():
        least = 0 if key in {"seed", "early"} else 1
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{key}={value!r}: give a whole number from {least} up.")


# Images


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Images and their classes.

    Attributes
    ----------
    pixels : uint8 tensor (image, 64, 64, 3)
        In the order of their names.
    labels : tuple of str
        Category of each.
    """

    pixels: torch.Tensor
    labels: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        return sorted(set(self.labels))

    def sha256(self) -> str:
        digest = hashlib.sha256("\n".join(self.labels).encode())
        digest.update(self.pixels.numpy().data)
        return digest.hexdigest()


def _source(images: Stimuli | int, seed: int) -> tuple[dict[str, Any], Callable[[], _Labelled]]:
    """What images are, for the settings, and a function that loads them when they are needed."""
    if isinstance(images, Stimuli):
        loaded = _labelled(images)
        return {"n": len(images), "sha256": loaded.sha256()}, lambda: loaded
    _check_numbers(images=images)
    first = min(images, len(CATEGORIES))  # enough to tell drawings that were drawn otherwise
    sha256 = _labelled(drawings(first, SIZE, seed)).sha256()
    return {"n": int(images), "drawings": seed, "sha256": sha256}, partial(_drawn, images, seed)


@lru_cache(maxsize=2)
def _drawn(n: int, seed: int) -> _Labelled:
    """Drawings, kept for the next training: they take a sixth of the time of one."""
    return _labelled(drawings(n, SIZE, seed))


def _labelled(images: Stimuli) -> _Labelled:
    if "category" not in images.table:
        columns = examples(images.table.columns) if len(images.table.columns) else "none"
        raise InputError(
            f"the table of the images has no column 'category' (its columns: {columns}): add one "
            "that names the class of each image."
        )
    labels = images.table["category"]
    missing = labels.index[labels.isna()].tolist()
    if missing:
        raise InputError(
            f"{len(missing)} of {len(images)} images have no category ({examples(missing)}): name "
            "the class of each, or select the others."
        )
    values = np.empty((len(images), SIZE, SIZE, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        values[i] = pixels(image)
    return _Labelled(torch.from_numpy(values), tuple(map(str, labels)))


def _numbered(images: _Labelled, classes: Sequence[str], place: torch.device) -> _Numbered:
    """Images and numbers of their classes, on a device."""
    strange = sorted(set(images.labels) - set(classes))
    if strange:
        raise InputError(
            f"held-out images are of categories that no image is learned from ({examples(strange)} "
            f"besides {examples(classes)}): leave these out, or add images of them."
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = torch.tensor([number[label] for label in images.labels])
    return images.pixels.to(place), labels.to(place)


_Numbered = tuple[torch.Tensor, torch.Tensor]

# What is written


@dataclass(frozen=True)
class _Plan:
    """Steps after which weights are kept.

    Attributes
    ----------
    per_epoch : int
        Steps of an epoch.
    steps : tuple of int
        From 0 to the last of all steps.
    """

    per_epoch: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> _Plan:
        per_epoch, early = settings["images"]["n"] // settings["batch_size"], settings["early"]
        within = {round(per_epoch ** (k / early)) for k in range(early)}
        ends = {per_epoch * epoch for epoch in range(settings["epochs"] + 1)}
        return cls(per_epoch, tuple(sorted(within | ends)))

    def epoch(self, step: int) -> str:
        """Epochs since the start, with as many decimals as tell steps apart."""
        decimals = max(3, math.ceil(math.log10(self.per_epoch)))
        return f"{step / self.per_epoch:0{decimals + 3}.{decimals}f}"

    def file(self, run: Path, step: int) -> Path:
        return run / f"epoch-{self.epoch(step)}.pt"

    def whole(self, run: Path, until: int) -> bool:
        """Whether all checkpoints up to a step are there."""
        return all(self.file(run, step).is_file() for step in self.steps if step <= until)

    def finished(self, run: Path) -> bool:
        # the state goes last
        done = (run / LOG).is_file() and not (run / STATE).exists()
        return done and self.whole(run, self.steps[-1])


def _check_same(run: Path, settings: Mapping[str, Any]) -> None:
    """Stop before anything is written into a folder that holds something else."""
    file = run / SETTINGS
    if not file.is_file():
        held = sorted(path.name for path in run.iterdir()) if run.is_dir() else []
        held = [name for name in held if not name.startswith(".")]  # left by what was killed
        if held or (run.exists() and not run.is_dir()):
            raise InputError(
                f"{run} is not a training (it holds {examples(held)}, no {SETTINGS}), and is left "
                "as it is: give another folder."
            )
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["training"]
        other = [
            f"{key} is {found.get(key)} there, asked for {value}"
            for key, value in settings.items()
            if found.get(key) != value
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged ({error}), so that it is not known what {run} holds: give another "
            "folder, or remove this one."
        ) from error
    if other:
        raise InputError(
            f"{run} holds a training with other settings ({'; '.join(other)}), and is left as it "
            "is: give another folder, or remove this one."
        )


def _write_settings(run: Path, settings: Mapping[str, Any], classes: Sequence[str]) -> None:
    versions = {"convergent": version("convergent"), "torch": torch.__version__}
    content = {"training": settings, "classes": list(classes), "versions": versions}
    text = json.dumps(content, indent=2)
    write_whole(run / SETTINGS, lambda file: file.write_text(text, encoding="utf-8"))


def _save(content: Any, file: Path) -> None:
    write_whole(file, lambda part: torch.save(content, part))


# Training


class _Training:
    """A network in training, and its log: all that a step changes.

    Parameters
    ----------
    run : Path
        Its folder.
    settings : dict
        Of the training.
    plan : _Plan
        When weights are kept.
    classes : int
        Their number.
    place : torch.device
        Where torch computes.
    """

    def __init__(
        self,
        run: Path,
        settings: Mapping[str, Any],
        plan: _Plan,
        classes: int,
        place: torch.device,
    ) -> None:
        self.run, self.plan, self.settings = run, plan, settings
        module = _initial(settings["network"], settings["seed"], classes)
        self.module = module.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), settings["learning_rate"], weight_decay=WEIGHT_DECAY
        )
        self.step = 0
        self.log: list[tuple[float, ...]] = []
        self.losses: list[float] = []  # of the steps since the last checkpoint

    def go_back(self) -> None:
        """To where an interrupted training was at its last checkpoint, if there was one."""
        file = self.run / STATE
        if not file.is_file():
            return
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            if not self.plan.whole(self.run, state["step"]):
                return  # some were removed: they are made anew, from the start
            self.module.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.log = state["step"], state["log"]
        except Exception as error:  # each kind of damage raises what it likes
            raise InputError(
                f"{file} is damaged ({type(error).__name__}), so that the training cannot go on "
                "from it: remove this file, and it begins anew."
            ) from error

    def learn(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Take a step."""
        last = self.plan.steps[-1]
        rate = min(1.0, (self.step + 1) / (WARM_UP * last))
        rate *= 0.5 + 0.5 * math.cos(math.pi * self.step / last)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings["learning_rate"] * rate
        self.module.train()
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.module(as_input(images)), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(float(loss.detach()))
        self.step += 1

    def keep(self, some: _Numbered, held_out: _Numbered) -> None:
        """Write weights, log, and what is needed to go on from here."""
        loss = _set_batch_statistics(self.module, *some)
        seen = self.step * self.settings["batch_size"]
        row = (float(self.plan.epoch(self.step)), self.step, seen)
        loss = float(np.mean(self.losses)) if self.losses else loss
        self.log.append((*row, loss, _share_right(self.module, *held_out)))
        self.losses = []
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.module.state_dict().items()
        }
        _save(weights, self.plan.file(self.run, self.step))
        table = pd.DataFrame(self.log, columns=list(COLUMNS))
        write_whole(self.run / LOG, lambda file: table.to_csv(file, index=False))
        state = {"step": self.step, "log": self.log, "weights": weights}
        _save(state | {"optimizer": self.optimizer.state_dict()}, self.run / STATE)


def _train(
    run: Path,
    settings: Mapping[str, Any],
    plan: _Plan,
    images: _Labelled,
    held_out: _Labelled,
    place: torch.device,
    progress: bool | None,
) -> None:
    """Begin or go on, to the end."""
    classes = images.classes
    if len(classes) < LEAST_CLASSES:
        raise InputError(
            f"all images are of one category, {classes[0]!r}: a classifier learns to tell two or "
            "more apart."
        )
    shown, tested = (_numbered(part, classes, place) for part in (images, held_out))
    _write_settings(run, settings, classes)
    # the same for all seeds
    some = np.random.default_rng(0).permutation(settings["images"]["n"])[:CALIBRATION_IMAGES]
    chosen = shown[0][some], shown[1][some]
    training = _Training(run, settings, plan, len(classes), place)
    training.go_back()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        if not training.log:
            training.keep(chosen, tested)
        total = plan.steps[-1] - training.step
        what = f"{settings['network']}, seed {settings['seed']}"
        for batch in track(_batches(settings, plan, training.step), what, total, progress):
            training.learn(shown[0][batch], shown[1][batch])
            if training.step in plan.steps:
                training.keep(chosen, tested)
    (run / STATE).unlink()


def _batches(settings: Mapping[str, Any], plan: _Plan, start: int) -> Iterator[torch.Tensor]:
    """Positions of the images of each step from one on; the order of an epoch is its own."""
    size, n = settings["batch_size"], settings["images"]["n"]
    for epoch in range(start // plan.per_epoch, settings["epochs"]):
        order = torch.from_numpy(np.random.default_rng([settings["seed"], epoch]).permutation(n))
        for step in range(max(start - epoch * plan.per_epoch, 0), plan.per_epoch):
            yield order[step * size : (step + 1) * size]


def _initial(name: str, seed: int, classes: int) -> SmallNetwork:
    """As `network` draws it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return SmallNetwork(name, classes)


def _set_batch_statistics(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    """Means and variances of all layers over some images, as these weights give them; the loss."""
    with new_batch_statistics(module), torch.no_grad():
        losses = [
            float(nn.functional.cross_entropy(module(as_input(part)), right, reduction="sum"))
            for part, right in _parts(images, labels, size)
        ]
    return sum(losses) / len(images)


def _share_right(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    module.eval()
    with torch.no_grad():
        right = [
            int((module(as_input(part)).argmax(1) == true).sum())
            for part, true in _parts(images, labels, size)
        ]
    return sum(right) / len(images)


def _parts(images: torch.Tensor, labels: torch.Tensor, size: int) -> Iterator[_Numbered]:
    for start in range(0, len(images), size):
        yield images[start : start + size], labels[start : start + size]
