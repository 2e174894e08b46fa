"""Training: weights from along the way, the same whatever interrupts it, and what it learns."""

import gc
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from convergent import (
    CATEGORIES,
    Assembly,
    InputError,
    Stimuli,
    accuracy,
    checkpoints,
    drawings,
    extract,
    network,
    train,
)
from convergent.base.lock import held
from convergent.networks import training, training_files, training_images
from convergent.networks.training_files import Plan
from convergent.networks.training_images import Labelled, labelled_images

SMALL = {
    "images": 80,
    "held_out": 32,
    "batch_size": 8,
    "epochs": 2,
    "early": 4,
}  # 10 steps an epoch
STEPS = [0, 1, 2, 3, 6, 10, 20]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads wait for each other at every tiny step, for minutes where others use the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train("small-residual", folder, seed=1, **SMALL)
    return folder


def contents(folder):
    """Bytes of all files; those of a checkpoint without its archive's name, which torch writes."""
    return {
        path.name: hashes(path) if path.suffix == ".pt" else path.read_bytes()
        for path in folder.iterdir()
    }


def hashes(file):
    state = torch.load(file, weights_only=True)
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def toy(kinds, size=64):
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (len(kinds), size, size, 3), dtype=np.uint8))
    names = [f"{i:02d}.png" for i in range(len(kinds))]
    table = pd.DataFrame({"category": kinds}, index=names)
    return Stimuli.from_arrays(images, names, table)


def stop(*_):
    raise KeyboardInterrupt


# What is written


def test_checkpoints_and_log(whole):
    found = checkpoints(whole)
    assert list(found) == [step / 10 for step in STEPS]
    assert {path.name for path in whole.iterdir()} == {
        *(path.name for path in found.values()),
        "log.csv",
        "settings.json",
    }
    log = train("small-residual", whole, seed=1, **SMALL)
    assert list(log.columns) == ["epoch", "step", "images_seen", "loss", "accuracy"]
    assert log["epoch"].tolist() == list(found)
    assert log["step"].tolist() == STEPS
    assert log["images_seen"].tolist() == [8 * step for step in STEPS]
    assert log["loss"].between(1, 10).all()
    assert log["accuracy"].between(0, 1).all()
    settings = json.loads((whole / "settings.json").read_text())
    assert settings["classes"] == list(CATEGORIES)
    assert settings["training"]["seed"] == 1


def test_a_folder_in_use_is_refused_and_left_as_it_is(tmp_path):
    with held(tmp_path, "another training"), pytest.raises(InputError, match="another training"):
        train("small-residual", tmp_path, seed=1, **SMALL)
    assert not list(tmp_path.iterdir())


def test_checkpoints_are_logarithmic_and_names_tell_them_apart():
    plan = Plan.of({"images": {"n": 8000}, "batch_size": 32, "early": 8, "epochs": 2})
    assert plan.steps == (0, 1, 2, 4, 8, 16, 32, 63, 125, 250, 500)
    assert plan.epoch(1) == "00.004"
    plan = Plan.of({"images": {"n": 50_000}, "batch_size": 2, "early": 20, "epochs": 1})
    assert len({plan.epoch(step) for step in plan.steps}) == len(plan.steps)
    assert plan.epoch(1) == "00.00004"
    plan = Plan.of({"images": {"n": 8}, "batch_size": 8, "early": 8, "epochs": 1})
    assert plan.steps == (0, 1)
    plan = Plan.of({"images": {"n": 80}, "batch_size": 8, "early": 0, "epochs": 12})
    assert plan.steps == tuple(range(0, 130, 10))
    assert plan.epoch(120) == "12.000"


def test_accuracy_in_the_log_is_that_of_the_checkpoint(whole):
    log = train("small-residual", whole, seed=1, **SMALL).set_index("epoch")
    held_out = drawings(32, seed=1)
    for step in (0.0, 0.6, 2.0):
        net = network("small-residual", checkpoint=checkpoints(whole)[step])
        outputs = extract(net, held_out, ["classifier"])["classifier"]
        assert accuracy(outputs, held_out.table["category"]) == pytest.approx(
            log.loc[step, "accuracy"], abs=1.01 / 32
        )  # a tie may fall otherwise in a batch of another size


def test_start_is_the_untrained_network_with_statistics_of_the_images(whole):
    start = network("small-residual", checkpoint=checkpoints(whole)[0.0])
    untrained = network("small-residual", pretrained=False, seed=1)
    for (name, one), other in zip(
        start.module.named_parameters(), untrained.module.parameters(), strict=True
    ):
        assert torch.equal(one, other), name
    images = torch.stack([start.preprocess(image) for image in drawings(80)])
    with torch.no_grad():
        maps = start.module.stem[0](images)
    stem = start.module.stem[1]
    torch.testing.assert_close(stem.running_mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(stem.running_var, maps.var((0, 2, 3)), rtol=1e-3, atol=1e-4)


# The same, whatever happens


def test_seeds(whole, tmp_path):
    train("small-residual", tmp_path / "same", seed=1, **SMALL)
    assert contents(tmp_path / "same") == contents(whole)
    train("small-residual", tmp_path / "other", seed=2, **SMALL)
    one, other = (checkpoints(path)[2.0] for path in (whole, tmp_path / "other"))
    assert hashes(one) != hashes(other)


def test_what_else_draws_from_torch_changes_nothing_and_is_not_changed(whole, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    train("small-residual", tmp_path / "run", seed=1, **SMALL)
    assert torch.equal(torch.rand(4), expected)
    assert contents(tmp_path / "run") == contents(whole)


@pytest.mark.parametrize("steps", [0, 1, 4, 15])
def test_interrupted_training_goes_on(whole, tmp_path, monkeypatch, steps):
    change_weights, run = torch.optim.AdamW.step, tmp_path / "run"
    left = steps

    def stopped(optimizer):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        change_weights(optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train("small-residual", run, seed=1, **SMALL)
    assert (run / "state.pt").exists()
    train("small-residual", run, seed=1, **SMALL)
    assert contents(run) == contents(whole)


@pytest.mark.parametrize("broken", ["epoch-00.300.pt", "log.csv", "state.pt", "settings.json"])
def test_killed_while_it_writes(whole, tmp_path, monkeypatch, broken):
    write, run = training_files.write_whole, tmp_path / "run"

    def killed(path, function):
        late = "epoch-02.000.pt" if broken == "settings.json" else "epoch-00.200.pt"
        if path.name == broken and (run / late).exists():
            raise KeyboardInterrupt
        write(path, function)

    for module in (training, training_files):
        monkeypatch.setattr(module, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        train("small-residual", run, seed=1, **SMALL)
    for module in (training, training_files):
        monkeypatch.setattr(module, "write_whole", write)
    train("small-residual", run, seed=1, **SMALL)
    assert contents(run) == contents(whole)


def test_finished_training_is_left_alone_and_what_is_lost_made_anew(whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    train("small-residual", run, seed=1, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", pytest.fail)
        counts = count_drawings(patch)
        train("small-residual", run, seed=1, **SMALL)
    assert max(counts) == len(CATEGORIES)  # the images are not even drawn
    (run / "epoch-00.300.pt").unlink()
    train("small-residual", run, seed=1, **SMALL)
    assert contents(run) == contents(whole)


def count_drawings(patch):
    """How many drawings are requested, each time."""
    counts = []

    def counted(n, *rest):
        counts.append(n)
        return drawings(n, *rest)

    patch.setattr(training_images, "drawings", counted)
    return counts


def test_images_are_drawn_once_and_released_with_the_call(tmp_path, monkeypatch):
    counts = count_drawings(monkeypatch)
    train("small-plain", tmp_path / "run", **SMALL)
    assert [n for n in counts if n > len(CATEGORIES)] == [80, 32]
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is Labelled]


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """The folder of a training that was interrupted after its third checkpoint."""
    step, left = torch.optim.AdamW.step, 2

    def stopped(optimizer):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        step(optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train("small-residual", tmp_path / "run", seed=1, **SMALL)
    return tmp_path / "run"


def flip(file, at):
    """Flip a bit of a file, and give its former content."""
    content = bytearray(before := file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    return before


def test_damaged_state(interrupted):
    state = interrupted / "state.pt"
    sound = state.read_bytes()
    for at in np.linspace(5000, len(sound) - 50_000, 3).astype(int):
        flip(state, at)
        with pytest.raises(InputError, match=r"state.pt is damaged .* remove this file"):
            train("small-residual", interrupted, seed=1, **SMALL)
        state.write_bytes(sound)
    state.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"state.pt is damaged .* remove this file"):
        train("small-residual", interrupted, seed=1, **SMALL)


def test_damaged_checkpoint_and_log_of_an_interrupted_training(interrupted, whole):
    checkpoint = interrupted / "epoch-00.100.pt"
    sound = flip(checkpoint, 90_000)
    with pytest.raises(InputError, match=r"epoch-00\.100\.pt is damaged .*done again"):
        train("small-residual", interrupted, seed=1, **SMALL)
    checkpoint.write_bytes(sound)
    flip(interrupted / "log.csv", -5)  # written anew from the state
    train("small-residual", interrupted, seed=1, **SMALL)
    assert contents(interrupted) == contents(whole)


def test_damage_of_a_finished_training(whole):
    for name, told in {
        "epoch-00.300.pt": "is damaged .*done again from its start",
        "log.csv": "is damaged or was changed .*done again from its start",
        "settings.json": "is damaged .*copy it again",
    }.items():
        size = (whole / name).stat().st_size
        for at in (size // 9, size // 3, size - 5 if name == "log.csv" else size // 2):
            sound = flip(whole / name, at)
            with pytest.raises(InputError, match=told) as caught:
                train("small-residual", whole, seed=1, **SMALL)
            (whole / name).write_bytes(sound)
            assert name in str(caught.value)
    assert len(train("small-residual", whole, seed=1, **SMALL)) == len(STEPS)


def test_training_of_before_there_were_hashes(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "old")
    settings = json.loads((whole / "settings.json").read_text())
    del settings["sha256"], settings["log_sha256"]
    (tmp_path / "old" / "settings.json").write_text(json.dumps(settings))
    log = train("small-residual", tmp_path / "old", seed=1, **SMALL)
    assert log.equals(train("small-residual", whole, seed=1, **SMALL))


# Another training in the folder


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"seed": 2}, "seed is 1 there, asked for 2"),
        ({"epochs": 3}, "epochs is 2 there, asked for 3"),
        ({"images": 96}, "images is .*80.*, asked for .*96"),
        ({"learning_rate": 0.5}, "learning_rate is 0.004 there, asked for 0.5"),
        ({"held_out": drawings(16)}, "held_out is"),
    ],
)
def test_other_settings(whole, other, told):
    before = contents(whole)
    with pytest.raises(InputError, match=f"other settings .*{told}.*left as it is"):
        train("small-residual", whole, **(SMALL | {"seed": 1} | other))
    assert contents(whole) == before


def test_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"not a training \(it holds 'thesis.tex'"):
        train("small-plain", tmp_path, **SMALL)
    with pytest.raises(InputError, match="not a training"):
        train("small-plain", tmp_path / "thesis.tex", **SMALL)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match=r"settings.json is damaged"):
        train("small-plain", tmp_path, **SMALL)


# Images of one's own, and bad input


def test_own_images_of_other_size_and_classes(tmp_path):
    images = toy(["cat", "dog", "owl"] * 4, size=40)
    log = train("small-plain", tmp_path, images=images, held_out=images, batch_size=4, epochs=1)
    assert log["step"].tolist() == [0, 1, 2, 3]
    net = network("small-plain", checkpoint=checkpoints(tmp_path)[1.0])
    outputs = extract(net, images, ["classifier"])["classifier"]
    assert accuracy(outputs, images.table["category"], ["cat", "dog", "owl"]) >= 0


def test_grey_images_are_taken_as_rgb():
    images = toy(["a", "b"])
    grey = [np.asarray(image.convert("L")) for image in images]
    as_grey = Stimuli.from_arrays(grey, images.names, images.table)
    as_rgb = images.map(lambda image: image.convert("L").convert("RGB"))
    assert torch.equal(
        labelled_images(as_grey).pixels,
        labelled_images(as_rgb).pixels,
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "small-plane"}, "no network that can be trained 'small-plane'.*small-plain"),
        ({"epochs": 0}, "epochs=0: give a whole number from 1 up"),
        ({"seed": -1}, "seed=-1: give a whole number from 0 to"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"early": True}, "early=True"),
        ({"images": 0}, "images=0"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"images": 7}, "7 images are fewer than a batch of 8"),
        ({"device": "warp"}, "cannot use the device 'warp'"),
        ({"images": toy(["a"] * 8)}, "one category, 'a'"),
        ({"held_out": toy(["heart", "unicorn"])}, "no training image has .'unicorn'"),
    ],
)
def test_bad_input(tmp_path, changed, told):
    with pytest.raises(InputError, match=told):
        train(**({"name": "small-plain", "folder": tmp_path / "run"} | SMALL | changed))
    assert not (tmp_path / "run").exists()


def test_images_without_categories(tmp_path):
    nameless = toy(["a", None, "b"])
    with pytest.raises(InputError, match=r"1 of 3 images have no category .'01.png'"):
        train("small-plain", tmp_path / "run", images=nameless)
    table = nameless.table.rename(columns={"category": "kind"})
    with pytest.raises(InputError, match=r"no column 'category' \(its columns: 'kind'\)"):
        train("small-plain", tmp_path / "run", images=replace(nameless, table=table))
    plain = Stimuli.from_arrays([Image.new("RGB", (8, 8))], ["a.png"])
    with pytest.raises(InputError, match=r"\(its columns: none\)"):
        train("small-plain", tmp_path / "run", images=plain)


# Accuracy


def outputs_of(values, names=("x", "y", "z")):
    return Assembly.from_array(
        np.asarray(values, dtype=np.float32),
        stimuli=list(names),
        units=[f"c{i}" for i in range(np.shape(values)[1])],
    )


def test_accuracy_by_name_or_number():
    outputs, classes = outputs_of([[2, 1], [0, 1], [5, 4]]), ["cat", "dog"]
    labels = pd.Series({"z": "dog", "y": "dog", "x": "cat", "besides": "owl"})
    assert accuracy(outputs, labels, classes) == pytest.approx(2 / 3)
    assert accuracy(outputs, {"x": 0, "y": np.int64(1), "z": 1}, classes) == pytest.approx(2 / 3)
    assert accuracy(outputs, {"x": 1, "y": 0, "z": 1}, classes) == 0


@pytest.mark.parametrize(
    ("values", "labels", "told"),
    [
        ([[1, 2, 3]], {"x": 0}, "'unit': 3.* there are 2 classes"),
        ([[1, 2]], {"y": 0}, "1 of 1 stimuli have no label .'x'; labels are given for 'y'"),
        ([[1, 2]], {"x": "owl"}, "'x' has the label 'owl', which is neither.*'cat', 'dog'"),
        ([[1, 2]], {"x": 2}, "number from 0 to 1"),
        ([[1, 2]], {"x": True}, "the label True"),
        ([[1, 2]], {"x": np.nan}, "the label nan"),
        ([[1, np.nan]], {"x": 0}, "1 stimuli lack outputs"),
    ],
)
def test_accuracy_of_what_has_none(values, labels, told):
    with pytest.raises(InputError, match=told):
        accuracy(outputs_of(values, ["x"]), labels, ["cat", "dog"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small-plain", "small-residual"])
def test_training_learns(name, tmp_path):
    kinds = ["circle", "cross", "letter-u", "star"]
    shown, held_out = (
        shapes.select([n for n in shapes.names if shapes.table.loc[n, "category"] in kinds])
        for shapes in (drawings(6400), drawings(800, seed=1))
    )
    log = train(name, tmp_path, images=shown, held_out=held_out, epochs=8, early=2)
    assert log["accuracy"].iloc[0] < 0.4  # chance is 1 in 4
    assert log["accuracy"].iloc[-1] > 0.7
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] / 2


def test_accuracy_of_categories_that_are_numbers():
    classes = sorted(str(i) for i in range(12))  # as strings: 10 comes before 2
    labels = {f"{i}.png": i for i in range(12)}
    right = np.array([[label == str(i) for label in classes] for i in range(12)], dtype=float)
    outputs = Assembly.from_array(right, stimuli=list(labels))
    assert accuracy(outputs, labels, classes) == 1
