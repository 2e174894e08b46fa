"""Positions as stimuli: against plain reshapes, from memory and stores, and whole in folds."""

import copy
import json
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from cases import to_tensor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from torch import nn

import convergent as cv
from convergent import Network, Stimuli, extract
from convergent.data import storage
from convergent.data.assembly import images_of
from convergent.data.positions import keeps_positions
from convergent.scoring.inputs import group_labels

N = 22
# in other order than with an @ behind them, and one is the beginning of another
NAMES = [f"img{i}" for i in range(1, N - 1)] + ["img 1", "img1.png"]
CHANNELS, ROWS, COLUMNS = 6, 4, 7  # of "0"; "2" has 10 of 2 x 5
PLACES = ROWS * COLUMNS

halved = partial(to_tensor, offset=0.5)


class Tokens(nn.Module):
    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


def made(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, stride=2),
            nn.ReLU(inplace=True),  # changes what layer "0" gave
            nn.Conv2d(CHANNELS, 10, 3),
            Tokens(),
            nn.Flatten(),
            nn.Linear(100, 5),
        )
    return Network("toy", module, halved)


@pytest.fixture(scope="module")
def toy():
    return made()


@pytest.fixture(scope="module")
def stimuli():
    images = np.random.default_rng(0).integers(0, 256, (N, 9, 15, 3), dtype=np.uint8)
    return Stimuli.from_arrays(list(images), sorted(NAMES))


def raw_output(network, stimuli, layer, side=None):
    """What a layer gives, (image, channel, row, column), averaged onto a grid by hand."""
    found = []
    module = copy.deepcopy(network.module).eval()
    module[layer].register_forward_hook(lambda _m, _i, output: found.append(output.clone()))
    with torch.no_grad():
        module(torch.stack([network.preprocess(image) for image in stimuli]))
    values = found[0].numpy()
    if side is None:
        return values
    bounds = [
        [(i * size // side, -(-(i + 1) * size // side)) for i in range(side)]
        for size in values.shape[2:]
    ]
    return np.array(
        [[values[:, :, a:b, c:d].mean((2, 3)) for c, d in bounds[1]] for a, b in bounds[0]]
    ).transpose(2, 3, 0, 1)


def flat(values):
    """(image, channel, row, column) as (image x position, channel)."""
    return values.transpose(0, 2, 3, 1).reshape(-1, values.shape[1])


# What is extracted


@pytest.mark.parametrize(("layer", "side"), [(0, None), (2, None), (0, 1), (0, 3), (2, 2)])
def test_values_are_those_of_each_position(toy, stimuli, layer, side):
    spatial = f"positions-{side}" if side else "positions"
    found = extract(toy, stimuli, [str(layer)], spatial=spatial)[str(layer)]
    raw = raw_output(toy, stimuli, layer, side)
    np.testing.assert_allclose(found.data.values, flat(raw), atol=1e-6)
    assert found.data.dtype == np.float32
    labels = (found.data[key].values for key in ("image", "row", "column"))
    image, row, column = labels
    place = {name: i for i, name in enumerate(stimuli.names)}
    expected = raw[[place[name] for name in image], :, row, column]
    np.testing.assert_allclose(found.data.values, expected, atol=1e-6)
    assert found.data.attrs["spatial"] == spatial


def test_positions_have_names_and_channels_are_units(toy, stimuli):
    found = extract(toy, stimuli, ["0"], spatial="positions")["0"]
    assert len(set(found.stimuli)) == N * PLACES
    assert found.stimuli[:2].tolist() == ["img 1@0.0/4x7", "img 1@0.1/4x7"]
    pooled = extract(toy, stimuli, ["0"])["0"]
    assert found.units.tolist() == pooled.units.tolist()
    for key in ("channel", "layer"):
        np.testing.assert_array_equal(found.data[key], pooled.data[key])
    assert found.name == "0"
    assert set(found.data["unit"].coords) == {"unit", "channel", "layer"}


@pytest.mark.parametrize("grid", [(4, 7), (12, 3), (1, 1), (11, 101)])
def test_positions_of_an_image_stay_together_when_sorted(grid):
    names = [*NAMES, "a@b", "img1x", "Img1", "é.png", "~"]
    size = len(names) * grid[0] * grid[1]
    order = np.indices((1, *grid)).reshape(3, -1)
    layer = cv.Assembly.from_array(
        np.arange(size, dtype=float).reshape(len(names), -1),
        stimuli=names,
        **{key: ("unit", at) for key, at in zip(("channel", "row", "column"), order, strict=True)},
    )
    (found,) = cv.align(cv.by_position(layer))
    blocks = found.data.values.reshape(len(names), -1)
    np.testing.assert_array_equal(blocks, blocks[:, :1] + np.arange(grid[0] * grid[1]))
    assert not (blocks[:, 0] % (grid[0] * grid[1])).any()


def test_labels_of_images_are_labels_of_their_positions(toy, stimuli):
    layer = extract(toy, stimuli, ["0"], spatial="flatten")["0"]
    scene = [f"scene{i % 3}" for i in range(N)]
    labelled = cv.Assembly(layer.data.assign_coords(scene=("stimulus", scene)))
    found = cv.by_position(labelled)
    np.testing.assert_array_equal(found.data["scene"], np.repeat(scene, PLACES))
    expected = extract(toy, stimuli, ["0"], spatial="positions")["0"]
    np.testing.assert_array_equal(found.data.values, expected.data.values)


# Stores


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(storage, "CHUNK_STIMULI", (2, 8))  # rows of chunks of 8, 8 and 6 images
    monkeypatch.setattr(storage, "CHUNK_ROW_BYTES", (40, 260))  # 65 units: 2.3 channels of "0"


@pytest.mark.parametrize("spatial", ["positions", "positions-2"])
@pytest.mark.usefixtures("small_chunks")
def test_a_store_holds_what_memory_holds(toy, stimuli, tmp_path, spatial):
    expected = extract(toy, stimuli, ["0", "2"], spatial=spatial)
    options = {"spatial": spatial, "store": tmp_path / "layers.zarr"}
    extract(toy, stimuli, ["2"], **options)
    stored = extract(toy, stimuli, ["0", "2"], **options)
    for found in (stored, cv.open_layers(options["store"])):
        assert set(found) == {"0", "2"}
        for layer, one in found.items():
            assert one.data.chunks is not None
            assert one.data.identical(expected[layer].data)
            assert one.fingerprint() == expected[layer].fingerprint()
    assert len(stored["0"].data.chunks[0]) == 3


@pytest.mark.usefixtures("small_chunks")
def test_some_channels_are_read_from_disk_without_the_others(toy, stimuli, tmp_path):
    found = extract(toy, stimuli, ["0"], spatial="positions", store=tmp_path / "layers.zarr")["0"]
    assert found.data.chunks[1] == (2, 2, 2)  # whole channels


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_store_goes_on(toy, stimuli, tmp_path):
    calls = []

    def preprocess(image):
        calls.append(image)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return halved(image)

    options = {"spatial": "positions-2", "batch_size": 3, "store": tmp_path / "layers.zarr"}
    with pytest.raises(KeyboardInterrupt):
        extract(Network("toy", toy.module, preprocess), stimuli, ["0"], **options)
    with pytest.raises(cv.InputError, match="has 8 of 22 stimuli"):
        cv.open_layers(options["store"])
    found = extract(toy, stimuli, ["0"], **options)["0"]
    expected = extract(toy, stimuli, ["0"], spatial="positions-2")["0"]
    # other batches may be rounded otherwise
    xr.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=1e-6)
    with pytest.raises(cv.InputError, match="positions-2 in the store, asked for positions-3"):
        extract(toy, stimuli, ["0"], **options | {"spatial": "positions-3"})


def test_a_study_keeps_positions(toy, stimuli, tmp_path):
    found = cv.extract(toy, stimuli, ["0"], spatial="positions-2", study=tmp_path)["0"]
    assert found.data.identical(extract(toy, stimuli, ["0"], spatial="positions-2")["0"].data)


# Scores


@pytest.fixture(scope="module")
def pair(toy, stimuli):
    source = extract(toy, stimuli, ["0"], spatial="positions-2")["0"]
    return source, extract(made(1), stimuli, ["2"], spatial="positions-2")["2"]


def test_a_score_is_that_of_ridge_over_folds_of_images(toy, stimuli, pair):
    x = raw_output(toy, stimuli, 0, 2).astype(float)
    y = raw_output(made(1), stimuli, 2, 2).astype(float)
    found = cv.score(*pair, cv.Linear([1e-2]), folds=cv.Folds(4, seed=3), ceiling=None)
    folds = KFold(4, shuffle=True, random_state=3).split(stimuli.names)  # of images
    for k, (train, test) in enumerate(folds):
        a = flat(x[train])
        power = ((a - a.mean(0)) ** 2).sum(1).mean()
        fitted = RidgeCV([1e-2 * power]).fit(a, flat(y[train]))
        predicted, observed = fitted.predict(flat(x[test])), flat(y[test])
        expected = [np.corrcoef(predicted[:, j], observed[:, j])[0, 1] for j in range(10)]
        np.testing.assert_allclose(found["r"].sel(fold=k).squeeze(), expected, atol=1e-6)


@pytest.mark.parametrize("n", [2, 5, 7])
def test_the_same_images_are_in_the_same_folds_as_without_positions(toy, stimuli, pair, n):
    (source, target), folds = cv.align(*pair), cv.Folds(n, seed=1)
    images = group_labels(None, [target, source])
    pooled = cv.align(extract(toy, stimuli, ["0"])["0"])[0].stimuli
    plain = folds.split(N)
    splits = folds.split(len(images), images)
    for part, part_images in zip(splits, plain, strict=True):
        for found, expected in zip(part, part_images, strict=True):
            assert sorted(images[found]) == np.repeat(pooled[expected], 4).tolist()


def test_from_disk_scores_are_those_from_memory(toy, stimuli, pair, tmp_path):
    store = tmp_path / "layers.zarr"
    extract(toy, stimuli, ["0"], spatial="positions-2", store=store)
    expected = cv.score(*pair, ceiling="self")
    found = cv.score(cv.open_layers(store), pair[1], ceiling="self")
    for name in ("r", "ceiling", "similarity"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)


def test_what_an_image_has_at_all_its_positions_does_not_leak(stimuli):
    rng = np.random.default_rng(0)  # a response of its own to each image, in both populations
    whole, other = (np.repeat(rng.standard_normal((N, 40)), 9, axis=0) for _ in range(2))
    noise = 0.1 * rng.standard_normal((2, N * 9, 40))
    names = [f"{name}@{i}.{j}/3x3" for name in stimuli.names for i in range(3) for j in range(3)]
    row, column = np.divmod(np.tile(np.arange(9), N), 3)
    labels = {"row": ("stimulus", row), "column": ("stimulus", column)}
    image = ("stimulus", np.repeat(stimuli.names, 9))
    scores = {}
    for leaks in (False, True):
        both = [
            cv.Assembly.from_array(
                values, stimuli=names, **labels, **({} if leaks else {"image": image})
            )
            for values in (whole + noise[0], other + noise[1])
        ]
        with pytest.warns(UserWarning, match="follow each other") if leaks else nullcontext():
            scores[leaks] = float(cv.score(*both, "linear", ceiling=None)["r"].median())
    assert scores[True] > 0.9
    assert abs(scores[False]) < 0.3


def test_hierarchy_compares_networks_of_any_map_size(toy, stimuli):
    sides = (extract(net, stimuli, ["0", "2"], spatial="positions-2") for net in (toy, made(1)))
    with pytest.warns(UserWarning, match=r"the same partner \('0'\)"):
        found = cv.hierarchy(
            *sides,
            ["linear", "procrustes"],
            folds=cv.Folds(3),
            bootstrap=cv.Bootstrap(4, refits=2),
            shuffle=cv.Shuffle(3),
        )
    assert found["r"].shape == (2, 2, 2)
    assert found.attrs["n_stimuli"] == 4 * N
    assert np.isfinite(found["r_shuffled"]).all()


def test_images_are_drawn_and_exchanged_whole(pair):
    from convergent.protocol.resampling import draw_resamples

    (_, target), folds = cv.align(*pair), cv.Folds(4)
    images = images_of(target)
    splits = folds.split(len(images), images)
    drawn = draw_resamples(cv.Bootstrap(5), cv.Shuffle(5), splits, images)
    assert drawn.n_drawn == N
    counts = drawn.counts.reshape(5, N, 4)
    np.testing.assert_array_equal(counts, np.repeat(counts[:, :, :1], 4, axis=2))
    orders = drawn.orders.reshape(5, N, 4)
    np.testing.assert_array_equal(orders, orders[:, :, :1] + np.arange(4))


def test_shift_and_compare_keep_images_together_as_score_does(toy, stimuli, pair, monkeypatch):
    seen = []
    split = cv.Folds.split
    monkeypatch.setattr(
        cv.Folds,
        "split",
        lambda self, n, groups, places: seen.append(groups) or split(self, n, groups, places),
    )
    cv.compare(*pair, folds=cv.Folds(3), references=[])
    levels = {x: extract(toy, stimuli, ["0"], spatial="positions-2") for x in ("a", "b")}
    cv.shift(levels, levels, "linear", folds=cv.Folds(3))
    assert len(seen) == 2
    for groups in seen:
        assert sorted(set(groups)) == list(stimuli.names)


def test_another_group_keeps_images_together_too(pair):
    scene = {name: f"scene{i % 6}" for i, name in enumerate(sorted(NAMES))}
    source, target = (
        cv.Assembly(
            one.data.assign_coords(
                scene=("stimulus", [scene[name] for name in one.data["image"].values])
            )
        )
        for one in pair
    )
    groups = group_labels("scene", [source, target])
    np.testing.assert_array_equal(groups, source.data["scene"])
    scores = cv.score(source, target, "linear", folds=cv.Folds(3, group="scene"), ceiling=None)
    assert json.loads(scores.attrs["provenance"])["folds"]["group"] == "scene"
    with pytest.raises(
        cv.InputError, match=r"'row' separates positions of the same image \('img 1',"
    ):
        cv.score(source, target, folds=cv.Folds(2, group="row"), ceiling=None)
    with pytest.raises(cv.InputError, match="'scenes': did you mean 'scene'"):
        cv.score(source, target, folds=cv.Folds(2, group="scenes"), ceiling=None)


def test_labels_of_a_recording_are_no_positions():
    values = np.zeros((3, 2))
    image = ("stimulus", ["x", "x", "y"])
    recording = cv.Assembly.from_array(values, stimuli=["a", "b", "c"], image=image)
    assert images_of(recording) is None
    assert group_labels(None, [recording]) is None
    units = {"row": ("unit", [0, 1]), "column": ("unit", [0, 1])}
    mixed = cv.Assembly.from_array(values, stimuli=["a", "b", "c"], image=image, **units)
    assert images_of(mixed) is None


def test_a_forecast_counts_positions(pair):
    found = cv.forecast(*pair, ["linear", cv.CircularShifts("linear", (2, 2))])
    assert found.pairs == 1
    assert np.isnan(found.seconds["linear-shifted"])
    assert str(found)


# Bad input


@pytest.mark.parametrize(
    ("spatial", "layers", "message"),
    [
        ("positions-0", ["0"], "N of 'positions-N' is a whole number from 1 up"),
        ("positions-x", ["0"], "N of 'positions-N' is a whole number from 1 up"),
        ("positions-", ["0"], "N of 'positions-N' is a whole number from 1 up"),
        ("positions-04", ["0"], "N of 'positions-N' is a whole number from 1 up"),
        ("position", ["0"], "no treatment of positions 'position': did you mean 'positions'"),
        ("positions4", ["0"], "did you mean 'positions-4'"),
        (None, ["0"], "no treatment of positions None"),
        (4, ["0"], "no treatment of positions 4"),
        ("positions", ["0", "5"], "layer '5' has no positions.*one response.*Leave it out"),
        ("positions-2", ["5"], "layer '5' has no positions.*or use spatial='mean'"),
        ("positions", ["3"], "layer '3' has no positions.*tokens, which have no rows"),
        ("positions-3", ["0", "2"], "'2' has maps of 2 x 5.*3 x 3.*use spatial='positions-2'"),
    ],
)
def test_bad_input_is_told(toy, stimuli, spatial, layers, message):
    with pytest.raises(cv.InputError, match=message):
        extract(toy, stimuli, layers, spatial=spatial)


@pytest.mark.parametrize(
    ("spatial", "keeps"),
    [
        ("positions", True),
        ("positions-12", True),
        ("positions-0", False),
        ("mean", False),
        (3, False),
    ],
)
def test_what_keeps_positions(spatial, keeps):
    assert keeps_positions(spatial) is keeps


def test_layers_of_other_grids_share_nothing_and_the_message_says_what_to_do(toy, stimuli):
    layers = extract(toy, stimuli, ["0", "2"], spatial="positions")
    with pytest.raises(
        cv.InputError,
        match=r"share 0 of .*@0.0/4x7'.*@0.0/2x5'.*onto one grid \(spatial='positions-4', for ex",
    ):
        cv.score(layers["0"], layers["2"], ceiling=None)
    with pytest.raises(cv.InputError, match=r"share 0 of .*with whole images, use spatial='mean"):
        cv.score(layers["0"], extract(toy, stimuli, ["5"])["5"], ceiling=None)


def test_what_is_no_whole_layer_has_no_positions(toy, stimuli):
    layer = extract(toy, stimuli, ["0"], spatial="flatten")["0"]
    for wrong in (
        extract(toy, stimuli, ["0"])["0"],
        extract(toy, stimuli, ["3"], spatial="flatten")["3"],
        cv.Assembly(layer.data.isel(unit=slice(5, None))),
        cv.Assembly(layer.data.isel(unit=slice(None, None, -1))),
        cv.Assembly(layer.data.expand_dims(repeat=2)),
    ):
        with pytest.raises(cv.InputError, match="not labelled as all positions of all channels"):
            cv.by_position(wrong)


def test_names_that_look_like_positions_of_others_are_told():
    images = [np.zeros((9, 15, 3), np.uint8)] * 2
    stimuli = Stimuli.from_arrays(images, ["a", "a@1.png"])
    with pytest.raises(
        cv.InputError, match=r"'a@1\.png' have the name of another stimulus and more after an '@'"
    ):
        extract(made(), stimuli, ["0"], spatial="positions")


def test_too_few_images_for_the_folds_are_told(pair):
    part = cv.Assembly(pair[0].data.isel(stimulus=slice(0, 4 * 4)))
    with pytest.raises(cv.InputError, match=r"'image' has 4 groups.*Use fewer folds"):
        cv.score(part, part, ceiling=None)
