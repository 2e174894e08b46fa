"""``convergent hierarchy``, ``shift`` and ``trajectory``."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import convergent as cv


def test_layers_of_two_networks_are_compared(run, lab, tmp_path, all_files):
    words = ("hierarchy", "tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")
    options = (
        "--metrics=linear,procrustes",
        "--folds=3",
        "--bootstrap=20",
        "--refits=2",
        "--layers=0,2",
    )
    code, out, err = run(*words, *options)
    assert code == 0, err
    assert "layers of tinynetwork:make, and their counterparts in tinynetwork:make" in out
    assert "rank correlation of depths: linear 1.000, procrustes 1.000" in out
    folder = tmp_path / "results"
    names = {"hierarchy.nc", "hierarchy.csv", "hierarchy.png", "hierarchy.svg", "study.toml"}
    assert all_files(folder) == names
    found = xr.load_dataset(folder / "hierarchy.nc", engine="h5netcdf")
    assert found["partner_of_target"].values.tolist() == [["0", "2"]] * 2
    rows = run(*words, *options, "--json").rows()
    assert {(row["metric"], row["source"], row["target"]) for row in rows} == {
        (metric, source, target)
        for metric in ("linear", "procrustes")
        for source in ("0", "2")
        for target in ("0", "2")
    }
    own = [row["r"] for row in rows if row["source"] == row["target"] and row["metric"] == "linear"]
    assert min(own) > 0.9


def test_layers_of_two_networks_are_compared_at_the_same_positions(run, lab):
    networks = ("tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")
    options = ("--spatial=positions-2", "--metrics=linear", "--layers=0,2", "--json")
    # as many folds as whole images, three to each, would not allow
    rows = run("hierarchy", *networks, *options, "--folds=18").rows()
    stimuli = cv.Stimuli.from_folder(lab / "images")
    network = cv.network("tinynetwork:make")
    layers = cv.extract(network, stimuli, ["0", "2"], spatial="positions-2")
    found = cv.hierarchy(layers, layers, "linear", folds=cv.Folds(18))
    expected = {row["source"] + row["target"]: row["r"] for row in rows}
    for source in "02":
        for target in "02":
            r = float(found["r"].sel(metric="linear", source=source, target=target))
            assert r == pytest.approx(expected[source + target], abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--spatial=positions-x",), "N of 'positions-N' is a whole number"),
        (("--stimuli=nowhere.zip",), "there is no file nowhere.zip"),
        (("--layers=0",), "two layers or more"),
        (("--metrics=cca",), "no metric 'cca'"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, lab, words, message):
    given = () if words[0].startswith("--stimuli") else ("--stimuli", lab / "images")
    networks = ("tinynetwork:make", "tinynetwork:make")
    assert run("hierarchy", *networks, *given, "--folds=3", *words).is_refused(message)


def test_a_shift_of_two_networks(run, lab, tmp_path, all_files):
    networks = ("tinynetwork:make", "tinynetwork:make", "--layers=0,2", "--folds=3")
    options = ("--metrics=procrustes", "--distortion=contrast,colour", "--stimuli", lab / "images")
    code, out, err = run("shift", *networks, *options, "--bootstrap=20", "--refits=2")
    assert code == 0, err
    assert "predicted by tinynetwork:make: colour" in out
    names = {
        f"shift-{x}.{end}" for x in ("contrast", "colour") for end in ("nc", "csv", "png", "svg")
    }
    assert all_files(tmp_path / "results") == names | {"study.toml"}
    stimuli = cv.Stimuli.from_folder(lab / "images")
    net = cv.network("tinynetwork:make")
    responses = {
        x: cv.extract(net, cv.distort(stimuli, "colour", x), ["0", "2"]) for x in ("colour", "grey")
    }
    direct = cv.shift(responses, responses, "procrustes", folds=cv.Folds(3), bootstrap=None)
    rows = run("shift", *networks, *options, "--bootstrap=0", "--json").rows()
    found = [row["r"] for row in rows if row["distortion"] == "colour"]
    np.testing.assert_allclose(found, direct["r"].values.ravel(), atol=1e-6)


def test_a_shift_to_folders_of_images(run, lab, tmp_path):
    stimuli = cv.Stimuli.from_folder(lab / "images")
    folder = tmp_path / "faded"
    folder.mkdir()
    for name in stimuli.names:
        cv.distort(stimuli, "contrast", 30)[name].save(folder / name)
    networks = ("tinynetwork:make", "tinynetwork:make", "--layers=0,2", "--folds=3")
    networks += ("--metrics=linear",)
    folders = ("--folder", f"photo={lab / 'images'}", "--folder", f"faded={folder}")
    rows = run("shift", *networks, *folders, "--json").rows()
    assert {row["level"] for row in rows} == {"faded"}
    (folder / stimuli.names[3]).unlink()
    lost = run("shift", *networks, *folders, "--json")
    assert lost.is_refused(f"'{stimuli.names[3]}' are not in both")
    assert run("shift", *networks, *folders[:2]).is_refused("two or more times")
    assert run("shift", *networks, "--distortion=blurr").is_refused("no distortion 'blurr'")


@pytest.fixture
def trained(lab, tmp_path, monkeypatch):
    """Checkpoints of two trainings of the tiny network, from nothing to other weights."""
    monkeypatch.syspath_prepend(lab)
    for run, seed in (("one", 1), ("two", 2)):
        module = cv.network("tinynetwork:make").module
        start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        (tmp_path / run).mkdir()
        for step in (0, 0.5, 1, 2):
            noise = torch.Generator().manual_seed(seed)
            weights = {
                name: tensor + 0.1 * step * torch.randn(tensor.shape, generator=noise)
                for name, tensor in start.items()
            }
            torch.save(weights, tmp_path / run / f"step_{step}.pth")
        log = pd.DataFrame({"epoch": [0, 0.5, 1, 2], "accuracy": [0.1, 0.2, 0.5, 0.9]})
        log.to_csv(tmp_path / run / "log.csv", index=False)
    return tuple(f"tinynetwork:make={tmp_path / run}" for run in ("one", "two"))


def test_a_trajectory_of_two_trainings(run, lab, tmp_path, trained, all_files):
    options = ("--pattern=step_{step}.pth", "--stimuli", lab / "images", "--layers=0,2")
    options += ("--metrics=linear,procrustes", "--folds=3")
    code, out, err = run("trajectory", *trained, *options)
    assert code == 0, err
    assert "share of the final alignment at step 1" in out
    names = {f"trajectory.{end}" for end in ("nc", "csv", "png", "svg")}
    assert all_files(tmp_path / "results") == names | {"study.toml"}
    found = xr.load_dataset(tmp_path / "results" / "trajectory.nc", engine="h5netcdf")
    assert found["step"].values.tolist() == [0, 0.5, 1, 2]
    assert found["accuracy"].sel(network="two").values.tolist() == [0.1, 0.2, 0.5, 0.9]
    begun, own = found["r"].isel(step=0, against=0, pair=0), found["ceiling"].isel(step=0, run=0)
    np.testing.assert_allclose(begun, own, atol=1e-6)  # both begin as the same
    rows = run("trajectory", *trained, *options, "--json").rows()
    assert len(rows) == 2 * 2 * 4 * 2


def test_what_is_no_trajectory_is_refused(run, lab, tmp_path, trained):
    options = ("--pattern=step_{step}.pth", "--stimuli", lab / "images")
    assert run("trajectory", trained[0], *options).is_refused("two or more")
    assert run("trajectory", "one", "two", *options).is_refused("'one' is no training")
    assert run("trajectory", *trained, "--pattern=epoch.pt").is_refused(
        "not a file name with one {step}"
    )
    (tmp_path / "two" / "step_0.5.pth").unlink()
    assert run("trajectory", *trained, *options).is_refused("two lacks '0.5'")
    for name, classes in (("one", ["cat", "dog"]), ("two", ["cat", "fox"])):
        torch.save({}, tmp_path / name / "step_0.5.pth")
        (tmp_path / name / "settings.json").write_text(json.dumps({"classes": classes}))
    message = "one and two learned different classes ('dog', 'fox' are not in both)"
    assert run("trajectory", *trained, *options).is_refused(message)
