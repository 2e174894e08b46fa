"""Training of small networks, with checkpoints from the first step to the last."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..base.arguments import as_number, as_seed, as_whole, check_flags, check_known
from ..base.devices import torch_device
from ..base.errors import InputError
from ..base.files import as_path, check_writable, remove_leftovers, write_whole
from ..base.lock import held
from ..base.progress import track
from ..base.reading import check_readable
from ..data.stimuli import Stimuli
from .batch_statistics import new_batch_statistics
from .small import SMALL, SmallNetwork, as_input
from .training_files import (
    COLUMNS,
    LOG,
    STATE,
    Plan,
    check_checkpoints,
    check_same,
    finish,
    read_log,
    save_state,
    write_settings,
)
from .training_images import Batch, Labelled, image_source, numbered
from .weights import read_tensors

__all__ = ["BATCH_SIZE", "HELD_OUT_SEED", "N_HELD_OUT", "N_IMAGES", "train"]

BATCH_SIZE = 32
N_IMAGES, N_HELD_OUT = 8_000, 1_600  # drawings for training, and for measuring accuracy
HELD_OUT_SEED = 1
_LEAST_CLASSES = 2
_CALIBRATION_IMAGES = 512  # training images on which batch statistics are computed
_MOST_RATE = 1.0  # of learning: a step as large as the weights
_WEIGHT_DECAY = 0.02
_WARM_UP = 0.02  # share of all steps in which the learning rate rises


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
    """Train a small network to classify images, and save checkpoints of its weights.

    The optimizer is AdamW with weight decay 0.02, and the loss is the cross-entropy. The learning
    rate rises over the first 2% of the steps, and then falls to 0 as half a cosine. If a training
    was interrupted, a call with the same arguments continues from the last checkpoint, and ends
    with the same weights, bit by bit (on the same machine, with the same number of threads); a
    finished training is not repeated. Files that are missing are made anew; what is damaged is
    refused: checkpoints and the state carry checksums, and ``settings.json`` holds hashes of itself
    and of the log.

    Weights are saved at the start, ``early`` times within the first epoch (evenly on a logarithmic
    scale from its first step on, since most of the learning happens early), and after each epoch.
    For each checkpoint, the statistics of batch normalisation are computed again with the present
    weights, on 512 of the training images: running averages would still depend on the weights of
    earlier steps, and at the start there are none. The training itself does not use these
    statistics.

    Parameters
    ----------
    name : str
        ``"small-plain"`` or ``"small-residual"``.
    folder : path
        For the results: ``epoch-00.000.pt`` (a ``state_dict``, for `network`), ..., named by the
        epochs since the start, which `checkpoints` finds; ``log.csv``; ``settings.json``; and
        until the training is finished ``state.pt``, from which it can continue.
    seed : int
        Seed of the initial weights, which are those of ``network(name, pretrained=False,
        seed=seed)``, and of the order of the images.
    epochs : int
        How often the network is trained on each image.
    images : Stimuli or int
        Training images, with a column ``category`` in their table; or the number of `drawings`,
        which are the same for all seeds.
    held_out : Stimuli or int
        Images of the same categories, on which accuracy is measured; or the number of drawings.
    batch_size : int
        Images in a step; those left over at the end of an epoch are not used in it.
    learning_rate : float
        The largest learning rate.
    early : int
        Checkpoints within the first epoch; there are fewer if it has fewer steps.
    device : str
        Device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    progress : bool, optional
        Whether to display a progress bar on stderr; by default, only in a terminal.

    Returns
    -------
    pandas.DataFrame
        The log, one row per checkpoint: ``epoch``, ``step``, ``images_seen``, ``loss`` (mean over
        the steps since the row before; in the first row, the loss before any step), ``accuracy``
        (share of held-out images that are classified correctly).

    Raises
    ------
    InputError
        If there is no such network, the folder holds a training with other settings or a damaged
        file, cannot be written to or is in use by another process, an image has no category, a
        held-out image has a category that no training image has, or a number is out of its range.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710 (convergence over training); Loshchilov and
    Hutter 2019, ICLR (AdamW); Wu and Johnson 2021, arXiv 2105.07576 (batch statistics).

    Examples
    --------
    >>> import convergent as cv
    >>> log = cv.train("small-plain", "trained/small-plain-0")  # doctest: +SKIP
    >>> files = cv.checkpoints("trained/small-plain-0")  # doctest: +SKIP
    >>> network = cv.network("small-plain", checkpoint=files[12.0])  # doctest: +SKIP
    """
    check_known("network that can be trained", name, SMALL)
    as_seed(seed)
    for number, value, least in (
        ("epochs", epochs, 1),
        ("batch_size", batch_size, 1),
        ("early", early, 0),
    ):
        as_whole(number, value, least)
    if progress is not None:
        check_flags(progress=progress)
    if not as_number("learning_rate", learning_rate, 0, _MOST_RATE) > 0:
        raise InputError(f"learning_rate={learning_rate}: give a number above 0, such as 0.004.")
    run, used_device = as_path(folder, "folder"), torch_device(device)
    learned, load = image_source(images, 0)
    tested, load_tested = image_source(held_out, HELD_OUT_SEED)
    if learned["n"] < batch_size:
        raise InputError(
            f"{learned['n']} images are fewer than a batch of {batch_size}: give more images, or "
            "a smaller batch_size."
        )
    settings = {
        "network": name,
        "seed": int(seed),
        "epochs": int(epochs),
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "weight_decay": _WEIGHT_DECAY,
        "early": int(early),
        "device": used_device.type,  # devices differ in rounding
        "images": learned,
        "held_out": tested,
    }
    check_same(run, settings)
    plan = Plan.of(settings)
    if plan.finished(run):
        remove_leftovers(run)  # of a process that was killed at its very end
        check_checkpoints(run, plan, plan.steps[-1])
    else:
        _train(run, settings, plan, load(), load_tested(), used_device, progress)
    return read_log(run)


class _Training:
    """A network in training, its optimizer and its log.

    Parameters
    ----------
    run : Path
        Folder of the training.
    settings : dict
        Settings of the training.
    plan : Plan
        Steps after which weights are saved.
    classes : int
        Number of classes.
    device : torch.device
        Where the training runs.
    """

    def __init__(
        self,
        run: Path,
        settings: Mapping[str, Any],
        plan: Plan,
        classes: int,
        device: torch.device,
    ) -> None:
        self.run, self.plan, self.settings = run, plan, settings
        module = _initial(settings["network"], settings["seed"], classes)
        self.module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), settings["learning_rate"], weight_decay=_WEIGHT_DECAY
        )
        self.step = 0
        self.log: list[tuple[float, ...]] = []
        self.losses: list[float] = []  # of the steps since the last checkpoint

    def resume(self) -> None:
        """Load the last checkpoint of an interrupted training, if there is one."""
        file = self.run / STATE
        if not file.is_file():
            return
        check_readable(file)
        try:
            state = read_tensors(file, "state of a training")
            step, log = state["step"], state["log"]
            if not self.plan.complete(self.run, step):
                return  # some checkpoints were removed: the training starts again
            self.module.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:  # each kind of damage raises another error
            raise InputError(
                f"{file} is damaged ({type(error).__name__}), so that the training cannot "
                "continue from it: copy it again, or remove this file, and the training starts "
                "again."
            ) from error
        check_checkpoints(self.run, self.plan, step)
        self.step, self.log = step, log

    def take_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Change the weights once."""
        last = self.plan.steps[-1]
        rate = min(1.0, (self.step + 1) / (_WARM_UP * last))
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

    def save(self, calibration: Batch, held_out: Batch) -> None:
        """Write weights, log, and the state from which an interrupted training can continue."""
        loss = _set_batch_statistics(self.module, *calibration)
        seen = self.step * self.settings["batch_size"]
        row = (float(self.plan.epoch(self.step)), self.step, seen)
        loss = float(np.mean(self.losses)) if self.losses else loss
        self.log.append((*row, loss, _share_correct(self.module, *held_out)))
        self.losses = []
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.module.state_dict().items()
        }
        save_state(weights, self.plan.file(self.run, self.step))
        table = pd.DataFrame(self.log, columns=list(COLUMNS))
        write_whole(self.run / LOG, lambda file: table.to_csv(file, index=False))
        state = {"step": self.step, "log": self.log, "weights": weights}
        save_state(state | {"optimizer": self.optimizer.state_dict()}, self.run / STATE)


def _train(
    run: Path,
    settings: Mapping[str, Any],
    plan: Plan,
    images: Labelled,
    held_out: Labelled,
    device: torch.device,
    progress: bool | None,
) -> None:
    """Start or continue a training, and run it to its end."""
    classes = images.classes
    if len(classes) < _LEAST_CLASSES:
        raise InputError(
            f"all images are of one category, {classes[0]!r}: a classifier needs two or more."
        )
    learned, tested = (numbered(part, classes, device) for part in (images, held_out))
    check_writable(run)
    with held(run, "a training"):
        remove_leftovers(run)
        if not plan.finished(run):  # by another process, before this one held the folder
            write_settings(run, settings, classes)
            training = _Training(run, settings, plan, len(classes), device)
            _run(training, learned, tested, progress)
            finish(run, settings, classes)


def _run(training: _Training, learned: Batch, held_out: Batch, progress: bool | None) -> None:
    """Take the steps of a training that are left."""
    settings, plan = training.settings, training.plan
    # the same for all seeds
    some = np.random.default_rng(0).permutation(settings["images"]["n"])[:_CALIBRATION_IMAGES]
    calibration = learned[0][some], learned[1][some]
    training.resume()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        if not training.log:
            training.save(calibration, held_out)
        total = plan.steps[-1] - training.step
        what = f"{settings['network']}, seed {settings['seed']}"
        for batch in track(_batches(settings, plan, training.step), what, total, progress):
            training.take_step(learned[0][batch], learned[1][batch])
            if training.step in plan.steps:
                training.save(calibration, held_out)


def _batches(settings: Mapping[str, Any], plan: Plan, start: int) -> Iterator[torch.Tensor]:
    """Positions of the images of each step, from a step on; each epoch has its own order."""
    size, n = settings["batch_size"], settings["images"]["n"]
    for epoch in range(start // plan.per_epoch, settings["epochs"]):
        order = torch.from_numpy(np.random.default_rng([settings["seed"], epoch]).permutation(n))
        for step in range(max(start - epoch * plan.per_epoch, 0), plan.per_epoch):
            yield order[step * size : (step + 1) * size]


def _initial(name: str, seed: int, classes: int) -> SmallNetwork:
    """A network with the initial weights that `network` gives it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return SmallNetwork(name, classes)


def _set_batch_statistics(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    """Compute means and variances of all layers on some images, and return the loss."""
    with new_batch_statistics(module), torch.no_grad():
        losses = [
            float(nn.functional.cross_entropy(module(as_input(part)), true, reduction="sum"))
            for part, true in _parts(images, labels, size)
        ]
    return sum(losses) / len(images)


def _share_correct(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    """Share of images that are classified correctly."""
    module.eval()
    with torch.no_grad():
        correct = [
            int((module(as_input(part)).argmax(1) == true).sum())
            for part, true in _parts(images, labels, size)
        ]
    return sum(correct) / len(images)


def _parts(images: torch.Tensor, labels: torch.Tensor, size: int) -> Iterator[Batch]:
    for start in range(0, len(images), size):
        yield images[start : start + size], labels[start : start + size]
