"""Extraction with a study: found again where all that decides it is the same, and only there."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from cases import to_tensor
from torch import nn

from convergent import InputError, Network, Stimuli, Study, drawings, extract
from convergent.networks import forward
from convergent.networks.probe import PROBES

LAYERS = ["0", "2"]


def made(seed=0, preprocess=to_tensor):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 2))
    return Network("toy", module, preprocess, about={"weights": f"seed {seed}"})


def pictures(names="abcdef", seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(names), 6, 7, 3), dtype=np.uint8)
    return Stimuli.from_arrays(list(images), [f"{name}.png" for name in names])


@pytest.fixture
def toy():
    return made()


@pytest.fixture
def stimuli():
    return pictures()


@pytest.fixture
def runs(monkeypatch):
    """Number of stimuli in each forward pass (hooks that count would make another network)."""
    counts = []
    recording = forward._recording

    @contextmanager
    def counted(*given):
        with recording(*given) as run:
            yield lambda batch, missing: counts.append(len(batch)) or run(batch, missing)

    monkeypatch.setattr(forward, "_recording", counted)
    return counts


def assert_same(found, expected):
    assert list(found) == list(expected)
    for layer, one in found.items():
        assert one.data.identical(expected[layer].data)
        assert one.data.attrs == expected[layer].data.attrs


@pytest.mark.parametrize("spatial", ["mean", "flatten", "positions"])
def test_a_study_holds_the_same_activations(toy, stimuli, tmp_path, spatial):
    expected = extract(toy, stimuli, LAYERS, spatial=spatial)
    found = extract(toy, stimuli, LAYERS, spatial=spatial, study=tmp_path)
    assert_same(found, expected)
    assert all(one.data.chunks is not None for one in found.values())  # on disk


def test_a_second_call_runs_no_network(toy, stimuli, tmp_path, runs):
    first = extract(toy, stimuli, LAYERS, study=tmp_path)
    runs.clear()
    assert_same(extract(made(), pictures(), LAYERS, study=Study(tmp_path)), first)
    assert_same(extract(toy, stimuli, LAYERS, study=tmp_path, device="cpu", batch_size=2), first)
    assert list(extract(toy, stimuli, ["2"], study=tmp_path)) == ["2"]
    assert runs == [PROBES] * 3


def test_further_layers_are_added(toy, stimuli, tmp_path, runs):
    extract(toy, stimuli, ["0"], study=tmp_path)
    assert_same(
        extract(toy, stimuli, LAYERS, study=tmp_path), extract(toy, stimuli, LAYERS, spatial="mean")
    )
    assert len(list((tmp_path / "layers").iterdir())) == 1
    runs.clear()
    extract(toy, stimuli, LAYERS, study=tmp_path)
    assert runs == [PROBES]


@pytest.mark.parametrize(
    ("network", "images", "options"),
    [
        (made(), pictures(), {"spatial": "max"}),
        (made(), pictures(), {"spatial": "positions"}),
        (made(seed=1), pictures(), {}),
        (made(), pictures(seed=1), {}),
        (made(), pictures("abcde"), {}),
        (made(), pictures("uvwxyz"), {}),
        (made(preprocess=lambda image: to_tensor(image) + 1), pictures(), {}),
    ],
    ids=["max", "positions", "weights", "pixels", "fewer", "names", "preprocessing"],
)
def test_nothing_else_is_reused(toy, stimuli, tmp_path, runs, network, images, options):
    extract(toy, stimuli, LAYERS, study=tmp_path)
    runs.clear()
    found = extract(network, images, LAYERS, study=tmp_path, **options)
    assert sum(runs) == len(images)
    assert_same(found, extract(network, images, LAYERS, **options))


def test_what_was_interrupted_continues(toy, stimuli, tmp_path):
    calls = []

    def stopping(image):
        calls.append(image)
        if len(calls) == len(stimuli) + 4:  # in the extraction, after the hash of all inputs
            raise KeyboardInterrupt
        return to_tensor(image)

    with pytest.raises(KeyboardInterrupt):
        extract(made(preprocess=stopping), stimuli, LAYERS, study=tmp_path)
    assert_same(
        extract(toy, stimuli, LAYERS, study=tmp_path), extract(toy, stimuli, LAYERS, spatial="mean")
    )


def test_a_study_and_a_store_are_refused_together(toy, stimuli, tmp_path, runs):
    with pytest.raises(InputError, match="both store and study are given: give one of them"):
        extract(toy, stimuli, LAYERS, store=tmp_path / "store", study=tmp_path / "study")
    assert runs == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keyword", ["batchsize", "folds", "metrics"])
def test_an_unknown_keyword_is_refused(toy, stimuli, runs, keyword):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        extract(toy, stimuli, LAYERS, **{keyword: 3})
    assert runs == []


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=["null", "surrogate"])
def test_layers_whose_names_cannot_be_saved_are_refused(name):
    module = torch.nn.Sequential()
    module.add_module(name, torch.nn.Conv2d(3, 2, 1))
    odd = Network("odd", module, lambda _image: torch.zeros(3, 4, 4))
    with pytest.raises(InputError, match="not Unicode text, or holds NUL"):
        extract(odd, drawings(2), [name])
