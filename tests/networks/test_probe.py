"""Activations of another network are never taken for those of this one, whatever differs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import to_tensor
from torch import nn

from convergent import InputError, Network, Stimuli, extract, open_layers
from convergent.base import hashing


def network(module):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), module, nn.Conv2d(4, 5, 2))
    return Network("toy", parts, to_tensor)


@pytest.fixture
def stimuli():
    images = np.random.default_rng(0).integers(0, 256, (6, 6, 7, 3), dtype=np.uint8)
    return Stimuli.from_arrays(list(images), [f"{i}.png" for i in range(6)])


class Scaled(nn.Module):
    def __init__(self, factors):
        super().__init__()
        self.factors = factors

    def forward(self, x):
        return x * self.factors[0]


class FromFile(nn.Module):
    """What decides lies in a file, which no hash of the network can see."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x):
        return x * float(Path(self.path).read_text())


class OfThree(nn.Module):
    def forward(self, x):
        return x.reshape(3, *x.shape[1:])


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def values(found):
    return np.concatenate([one.data.values for one in found.values()], axis=1)


@pytest.mark.parametrize("kind", ["list", "hook"])
def test_another_network_of_the_same_weights_has_its_own_activations(stimuli, tmp_path, kind):
    def changed():
        if kind == "list":
            return network(Scaled([2.0]))
        net = network(Scaled([1.0]))
        net.module[2].register_forward_hook(lambda _module, _inputs, output: output * 2)
        return net

    layers, store = ["2", "3"], tmp_path / "own.zarr"
    plain = network(Scaled([1.0]))
    first = extract(plain, stimuli, layers, study=tmp_path / "study")
    extract(plain, stimuli, layers, store=store)
    expected = values(extract(changed(), stimuli, layers))
    assert np.abs(expected - values(first)).max() > 0.01
    for _ in range(2):
        found = extract(changed(), stimuli, layers, study=tmp_path / "study")
        np.testing.assert_array_equal(values(found), expected)
    assert len(list((tmp_path / "study" / "layers").iterdir())) == 2
    with pytest.raises(InputError, match="another network: other code, settings or hooks"):
        extract(changed(), stimuli, layers, store=store)
    again = extract(network(Scaled([1.0])), stimuli, layers, study=tmp_path / "study")
    np.testing.assert_array_equal(values(again), values(first))


def test_what_no_hash_sees_is_noticed_by_its_outputs(stimuli, tmp_path):
    file = tmp_path / "factor.txt"
    file.write_text("1")
    net, store, study = network(FromFile(str(file))), tmp_path / "own.zarr", tmp_path / "study"
    first = values(extract(net, stimuli, ["3"], study=study))
    extract(net, stimuli, ["3"], store=store)
    file.write_text("1.00001")  # as rounding
    np.testing.assert_array_equal(values(extract(net, stimuli, ["3"], study=study)), first)
    file.write_text("1.5")
    expected = values(extract(net, stimuli, ["3"]))
    for layers in (["3"], ["2"]):  # the second is not in the store
        with pytest.warns(UserWarning, match=r"neither kept .* layer '3' gives other outputs"):
            found = extract(net, stimuli, layers, study=study)
        if layers == ["3"]:
            np.testing.assert_array_equal(values(found), expected)
        with pytest.raises(InputError, match=r"layer '3' gives other outputs.*is left as it is"):
            extract(net, stimuli, layers, store=store)
    file.write_text("1")
    np.testing.assert_array_equal(values(extract(net, stimuli, ["3"], study=study)), first)


def test_lazy_modules_that_never_ran_are_named(stimuli):
    with pytest.raises(InputError, match=r"'2\.bias' of network .* run the module once"):
        extract(network(nn.LazyConv2d(2, 1)), stimuli, ["0"])


def test_a_network_for_batches_of_one_size_is_found_again(stimuli, tmp_path):
    for _ in range(2):
        extract(network(OfThree()), stimuli, ["3"], study=tmp_path, batch_size=3)
    with pytest.raises(RuntimeError, match="shape"):
        extract(network(OfThree()), stimuli, ["3"], study=tmp_path, batch_size=4)


def test_activations_with_random_draws_are_not_reused(stimuli, tmp_path):
    net = network(Noisy())
    torch.manual_seed(0)
    first = extract(net, stimuli, ["3"], study=tmp_path)
    with pytest.warns(UserWarning, match="draws at random or depends on the batch"):
        second = extract(net, stimuli, ["3"], study=tmp_path)
    assert np.abs(values(first) - values(second)).max() > 0.1


def test_a_network_that_cannot_be_known_is_not_kept(stimuli, tmp_path):
    store = tmp_path / "own.zarr"
    with (tmp_path / "open.txt").open("w") as file:
        net = network(Scaled([1.0]))
        net.module[2].log = {"to": file}
        expected = values(extract(net, stimuli, ["3"]))
        where = r"module\.2\.log\['to'\] is a _io\.TextIOWrapper.* Use numbers"
        with pytest.warns(UserWarning, match=f"activations of toy are neither kept .*{where}"):
            found = extract(net, stimuli, ["3"], study=tmp_path / "study")
        assert not (tmp_path / "study" / "layers").exists()
        np.testing.assert_array_equal(values(found), expected)
        with pytest.warns(UserWarning, match=f"can be opened later, and not be cont.*{where}"):
            extract(net, stimuli, ["3"], store=store)
        np.testing.assert_array_equal(values(open_layers(store)), expected)
        with pytest.raises(InputError, match=f"cannot be continued with toy.*{where}"):
            extract(net, stimuli, ["3"], store=store)


def test_nothing_is_kept_if_the_package_changed_after_it_was_loaded(stimuli, tmp_path, monkeypatch):
    net, file = network(Scaled([1.0])), "networks/forward.py"
    monkeypatch.setitem(hashing._LOADED, "plot/_figure.py", (1, 1))  # decides no activation
    extract(net, stimuli, ["3"], study=tmp_path)
    monkeypatch.setitem(hashing._LOADED, file, (1, 1))
    with pytest.warns(UserWarning, match=f"'{file}' of convergent changed.* Restart Python"):
        extract(net, stimuli, ["3"], study=tmp_path)


def test_settings_of_torch_that_change_outputs_count():
    net = network(nn.Identity())
    before = net.architecture_sha256()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net.architecture_sha256() != before
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert net.architecture_sha256() != before
    handle.remove()
    assert net.architecture_sha256() == before
