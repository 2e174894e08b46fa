"""What tests of the commands share: data, a network, and how a command is run."""

import json
import re
import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import convergent as cv
from convergent import cli

N_STIMULI = 36
NAMES = [f"{i:02d}.png" for i in range(N_STIMULI)]
TIMES = ("activations of ", "to score: ")
STEP = re.compile(r".+ \.{3,}$|.+: \d+\.\d s$")  # what is done, if it takes a moment
NETWORK = """
import numpy as np, torch, convergent
from torch import nn

def preprocess(image):
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)

def make():
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))
    return convergent.Network("tiny", module, preprocess)
"""


class Done(NamedTuple):
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    def rows(self):
        """Rows of a command with --json that succeeded."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def is_refused(self, message):
        """Whether the command ended with one line on stderr that holds the message."""
        assert self.code == 2
        assert self.out == ""
        (line,) = [
            line
            for line in self.err.splitlines()
            if not line.startswith(TIMES) and not STEP.match(line)
        ]
        assert line.startswith("error: ")
        assert message in line
        return True


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """A folder with images, recordings, and a module that defines a network."""
    folder = tmp_path_factory.mktemp("lab")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images = rng.integers(0, 256, (N_STIMULI, 6, 6, 3), dtype=np.uint8)
    for name, image in zip(NAMES, images, strict=True):
        Image.fromarray(image).save(folder / "images" / name)
    signal = images.reshape(N_STIMULI, -1)[:, :7] / 100.0
    trials = signal[..., None] + 0.3 * rng.standard_normal((N_STIMULI, 7, 3))
    dims = ("stimulus", "unit", "repeat")
    labels = {
        "region": ("unit", ["V1"] * 4 + ["V4"] * 3),
        "subject": ("unit", ["a", "b"] * 3 + ["a"]),
        "scene": ("stimulus", [str(i // 4) for i in range(N_STIMULI)]),
    }
    recording = cv.Assembly.from_array(trials, dims=dims, stimuli=NAMES, **labels)
    recording.save(folder / "recording.nc")
    recording.average().save(folder / "means.nc")
    plain = cv.Assembly.from_array(trials, dims=dims, stimuli=NAMES, name="plain")
    plain.save(folder / "plain.zarr")
    other = [f"other{i}" for i in range(N_STIMULI)]
    cv.Assembly.from_array(trials, dims=dims, stimuli=other).save(folder / "other.nc")
    (folder / "tinynetwork.py").write_text(NETWORK)
    return folder


@pytest.fixture
def run(lab, tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(lab)
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["convergent", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return Done(stopped.value.code or 0, captured.out, captured.err)

    yield run
    sys.modules.pop("tinynetwork", None)


@pytest.fixture
def score(run, lab):
    """Score the tiny network; options replace those given here, or are added to them."""
    given = {
        "network": "tinynetwork:make",
        "data": lab / "recording.nc",
        "stimuli": lab / "images",
        "metrics": "linear",
        "folds": 3,
    }

    def score(*flags, **options):
        words = [f"--{key.replace('_', '-')}={value}" for key, value in (given | options).items()]
        return run("score", *words, *flags)

    return score


@pytest.fixture(scope="package")
def all_files():
    """Names of the files of a folder."""
    return lambda folder: {path.name for path in folder.iterdir() if path.is_file()}
