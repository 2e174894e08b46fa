"""Small networks: their layers, their weights, and what they are shown."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convergent import CATEGORIES, InputError, drawings, extract, network
from convergent.networks.small import SMALL, SMALL_LAYERS, SmallNetwork


@pytest.fixture(scope="module")
def both():
    return {name: network(name, pretrained=False, seed=3) for name in SMALL}


def outputs(net, stimuli):
    """Outputs of the default layers as they are when the forward pass ends, and when they come."""
    late, early = {}, {}
    for layer in net.default_layers:

        def keep(_part, _inputs, output, layer=layer):
            late[layer], early[layer] = output, output.clone()

        net.module.get_submodule(layer).register_forward_hook(keep)
    batch = torch.stack([net.preprocess(image) for image in stimuli])
    with torch.inference_mode():
        found = net.module(batch)
    for layer in net.default_layers:
        net.module.get_submodule(layer)._forward_hooks.clear()
    return found, late, early


@pytest.mark.parametrize("name", SMALL)
def test_layers_from_first_to_last(both, name):
    found, late, early = outputs(both[name], drawings(4))
    assert tuple(early) == SMALL_LAYERS  # in the order in which they ran
    assert SMALL_LAYERS[-1] == "classifier"
    assert found.shape == (4, len(CATEGORIES))
    torch.testing.assert_close(late["classifier"], found, rtol=0, atol=0)
    for layer in SMALL_LAYERS:
        assert torch.equal(late[layer], early[layer])  # nothing works in place on it later
        assert (early[layer] >= 0).all() == (layer != "classifier")
    weights = [m for m in both[name].module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weights) == len(SMALL_LAYERS) == 10


def test_activations_of_untrained_networks_neither_vanish_nor_explode(both):
    for net in both.values():
        layers = extract(net, drawings(16), spatial="flatten")
        for layer, assembly in layers.items():
            assert 0.1 < assembly.data.values.std() < 10, layer


def test_the_difference_is_the_skip_connection(both):
    plain, residual = (both[name].module for name in SMALL)
    shapes = [[tuple(w.shape) for w in net.parameters()] for net in (plain, residual)]
    assert shapes[0] == shapes[1]
    image = torch.randn(2, 64, 8, 8)
    for net, added in ((plain, 0), (residual, 1)):
        block = net.blocks[3]
        expected = torch.relu(block.second(block.first(image)) + added * image)
        torch.testing.assert_close(block(image), expected)
    wide = torch.randn(2, 16, 32, 32)  # as many channels again, half as many rows and columns
    block = residual.blocks[1]
    means = wide.reshape(2, 16, 16, 2, 16, 2).mean((3, 5))
    expected = block.second(block.first(wide)) + torch.cat([means, torch.zeros_like(means)], 1)
    torch.testing.assert_close(block(wide), torch.relu(expected))


def test_seed_and_architecture_draw_the_weights():
    made = [network(name, pretrained=False, seed=s) for name in SMALL for s in (0, 1)]
    stems = [net.module.stem[0].weight for net in made]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(stems, 2))
    again = network("small-plain", pretrained=False, seed=0)
    assert again.fingerprint() == made[0].fingerprint()


@pytest.mark.parametrize("name", SMALL)
def test_no_trained_weights(name):
    with pytest.raises(InputError, match=f"no weights for {name}: train it with `convergent train"):
        network(name)


def test_checkpoints_load_where_they_fit(both, tmp_path):
    plain = both["small-plain"]
    torch.save(plain.module.state_dict(), tmp_path / "plain.pt")
    found = network("small-plain", checkpoint=tmp_path / "plain.pt")
    assert found.weights_sha256() == plain.weights_sha256()
    with pytest.raises(InputError, match=r"does not fit SmallNetwork: Missing.*small_residual"):
        network("small-residual", checkpoint=tmp_path / "plain.pt")
    torch.save(SmallNetwork("small-plain", classes=3).state_dict(), tmp_path / "three.pt")
    three = network("small-plain", checkpoint=tmp_path / "three.pt")
    assert three.module(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_what_they_are_shown(both):
    preprocess = both["small-plain"].preprocess
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    expected = (np.asarray(image).astype(np.float32).transpose(2, 0, 1) - 127.5) / 64
    np.testing.assert_array_equal(preprocess(image), expected)
    assert preprocess(image).is_contiguous()
    large = image.resize((100, 80))
    expected = preprocess(large.resize((64, 64), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(preprocess(large), expected)
    assert preprocess(image.convert("L")).shape == (3, 64, 64)
