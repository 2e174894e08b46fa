"""The command line: what it prints where, what it writes, and how it answers bad input."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image

import convergent as cv
from convergent import cli
from convergent.data import catalog

N_STIMULI = 36
NAMES = [f"{i:02d}.png" for i in range(N_STIMULI)]
KEYS = {
    "source",
    "target",
    "metric",
    "r",
    "ceiling",
    "normalized",
    "n_stimuli",
    "n_units",
    "n_units_excluded",
}
WRITTEN = {"scores.nc", "summary.csv", "scores.png", "scores.svg", "report.html"}
NETWORK = """
import numpy as np, torch, convergent
from torch import nn

def preprocess(image):
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)

def make():
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))
    return convergent.Network("tiny", module, preprocess)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with images, recordings and a network of somebody's own."""
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
    """Run a command where nothing lies about; give its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(lab)
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["convergent", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    yield run
    sys.modules.pop("tinynetwork", None)


@pytest.fixture
def score(run, lab):
    """Score the tiny network; options replace or join those given here."""
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


def rows_of(result):
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def all_files(folder):
    return {path.name for path in folder.iterdir() if path.is_file()}


# Scores


def test_json_rows(score, tmp_path):
    rows = rows_of(score("--json", metrics="linear,procrustes"))
    assert all(set(row) >= KEYS for row in rows)
    assert [(row["metric"], row["source"], row["target"]) for row in rows] == [
        (metric, source, target)
        for metric in ("linear", "procrustes")
        for source in ("0", "2")
        for target in ("V1", "V4")
    ]
    assert {row["n_stimuli"] for row in rows} == {N_STIMULI}
    assert [row["n_units"] for row in rows[:2]] == [4, 3]
    assert {row["n_units_excluded"] for row in rows} == {0}
    assert not all_files(tmp_path)


def test_json_rows_are_the_summary_of_the_same_score(score, lab, monkeypatch):
    rows = rows_of(score("--json", layers="2", spatial="flatten", seed=5, folds=4))
    monkeypatch.syspath_prepend(lab)
    stimuli = cv.Stimuli.from_folder(lab / "images")
    layers = cv.extract(cv.network("tinynetwork:make"), stimuli, ["2"], spatial="flatten")
    targets = cv.open(lab / "recording.nc").by("region")
    table = cv.summary(cv.score(layers, targets, "linear", folds=cv.Folds(4, seed=5)))
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table)


def test_called_again_only_what_is_missing_is_done(score, tmp_path, monkeypatch):
    first = rows_of(score("--json", out=tmp_path / "out", metrics="linear"))

    def never(*_given):
        raise AssertionError("done again")

    with monkeypatch.context() as patch:
        patch.setattr("convergent.scoring.tasks.fit_rounds", never)
        patch.setattr("torch.nn.Sequential.forward", never)
        assert rows_of(score("--json", out=tmp_path / "out", metrics="linear")) == first
    more = rows_of(score("--json", out=tmp_path / "out", metrics="linear,procrustes"))
    assert more[: len(first)] == first
    assert len(more) == 2 * len(first)


def test_a_scheduler_that_does_not_answer_is_told(score):
    pytest.importorskip("distributed")
    assert is_told(score(scheduler="nowhere://127.0.0.1"), "no scheduler answers at nowhere")


def test_intervals_and_p_where_they_are_asked(score, tmp_path):
    options = {"bootstrap": 20, "over": "stimuli,subjects", "shuffle": 9}
    rows = rows_of(score("--json", out=tmp_path / "out", **options))
    for row in rows:
        assert row["r_low"] < row["r"] < row["r_high"]
        assert row["p_shuffle"] in [pytest.approx(k / 10) for k in range(1, 11)]
    best = [row["source"] for row in rows if row["among_best"] and row["target"] == "V1"]
    assert best
    saved = xr.load_dataset(tmp_path / "out" / "scores.nc", engine="h5netcdf")
    assert saved["r_draws"].sizes["draw"] == 20
    assert saved["r_shuffled"].sizes["shuffle"] == 9


@pytest.mark.slow
def test_untrained_networks_are_controls(score, tmp_path):
    network = {"network": "efficientnet-lite0", "layers": "_blocks.2", "controls": 2}
    for row in rows_of(score("--json", out=tmp_path / "out", **network)):
        assert row["p_untrained"] in [pytest.approx(k / 3) for k in range(1, 4)]
        assert row["control_mean"] != row["r"]


def test_a_network_that_has_no_untrained_copy_is_told_before_it_is_shown_anything(score):
    code, out, err = score(controls=2)
    assert (code, out) == (2, "")
    assert "decides on its weights itself" in err


def test_table_tells_intervals_and_p(score, tmp_path):
    _, out, _ = score(bootstrap=20, shuffle=9, out=tmp_path / "out")
    assert "[95% interval]" in out
    assert "p(shuffle)" in out
    assert " *" in out


def test_what_is_not_a_number_is_null(score, lab):
    rows = rows_of(score("--json", data=lab / "means.nc", ceiling="none"))
    assert {row["ceiling"] for row in rows} == {row["normalized"] for row in rows} == {None}
    assert all(isinstance(row["r"], float) for row in rows)


def test_progress_goes_to_stderr(score):
    _, out, err = score("--json")
    assert "tiny" in err
    assert out.startswith("[\n{")


@pytest.mark.parametrize(
    ("options", "targets"),
    [({}, ["V1", "V4"]), ({"by": "subject"}, ["a", "b"]), ({"data": "plain.zarr"}, ["plain"])],
)
def test_targets_are_told_apart_by_a_label(score, lab, options, targets):
    if "data" in options:
        options = {"data": lab / options["data"]}
    rows = rows_of(score("--json", layers="0", **options))
    assert [row["target"] for row in rows] == targets


def test_groups_stay_in_one_fold(score):
    together, apart = (
        rows_of(score("--json", layers="0", **options)) for options in ({"group": "scene"}, {})
    )
    assert together[0]["r"] != apart[0]["r"]


def test_checkpoint_takes_the_place_of_weights(score, lab, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(lab)
    torch = pytest.importorskip("torch")
    torch.save(cv.network("tinynetwork:make", seed=9).module.state_dict(), tmp_path / "w.pt")
    plain, loaded = (
        rows_of(score("--json", layers="0", **options))
        for options in ({}, {"checkpoint": tmp_path / "w.pt"})
    )
    assert plain[0]["r"] != loaded[0]["r"]


def test_all_is_written_to_the_folder(score, tmp_path):
    out = tmp_path / "new" / "folder"
    rows = rows_of(score("--json", out=out))
    assert all_files(out) == WRITTEN
    with xr.open_dataset(out / "scores.nc", engine="h5netcdf") as scores:
        assert scores["r"].dims == ("metric", "source", "fold", "unit")
        pd.testing.assert_frame_equal(cv.summary(scores), pd.DataFrame(rows))
    written = pd.read_csv(out / "summary.csv", dtype={"source": str})
    pd.testing.assert_frame_equal(written, pd.DataFrame(rows))
    with Image.open(out / "scores.png") as picture:
        assert picture.format == "PNG"
    assert "<svg" in (out / "scores.svg").read_text()
    assert "<svg" in (out / "report.html").read_text()


def test_table_is_printed_and_written_where_no_json_is_asked(score, tmp_path):
    code, out, err = score()
    assert code == 0
    for text in ("tiny and", f"{N_STIMULI} stimuli", "V1: ceiling 0.9", "4 units", "linear"):
        assert text in " ".join(out.split())
    assert all_files(tmp_path / "results") == WRITTEN
    assert "written to results" in err


def test_table_holds_the_numbers_of_the_rows(score):
    _, shown, _ = score(layers="0")
    for row in rows_of(score("--json", layers="0")):
        assert f"{row['r']:.3f} ({row['normalized']:.2f})" in shown


def test_table_without_ceiling(score):
    _, out, _ = score(ceiling="none", by="subject")
    assert "a: no ceiling, 4 units" in " ".join(out.split())


@pytest.mark.slow
def test_package_runs_as_a_module(lab, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "convergent", "score", "--json"]
    command += ["--network", "tinynetwork:make", "--data", lab / "recording.nc"]
    command += ["--stimuli", lab / "images", "--metrics", "linear"]
    environment = os.environ | {"PYTHONPATH": str(lab)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert len(json.loads(done.stdout)) == 4
    assert not all_files(tmp_path)


@pytest.mark.slow
def test_bad_input_has_no_traceback_as_a_module(tmp_path):
    command = [sys.executable, "-m", "convergent", "score", "--data", "cowly2023"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no data set 'cowly2023': did you mean 'cowley2023'?\n"


# Training

TINY = ("--images", "64", "--held-out", "16", "--epochs", "1", "--batch-size", "16")


def test_train(run, tmp_path):
    asked = ("train", "small-plain", "--out", str(tmp_path / "nets"), "--seeds", "0,3", *TINY)
    code, out, err = run(*asked, "--json")
    rows = json.loads(out)
    assert code == 0
    steps = [(row["seed"], row["step"]) for row in rows]
    assert steps == [(seed, step) for seed in (0, 3) for step in range(5)]
    assert {"network", "epoch", "images_seen", "loss", "accuracy"} <= set(rows[0])
    assert "small-plain-3: 5 checkpoints, accuracy" in err
    for seed in (0, 3):
        found = cv.checkpoints(tmp_path / "nets" / f"small-plain-{seed}")
        assert list(found) == [0, 0.25, 0.5, 0.75, 1]
        assert cv.network("small-plain", checkpoint=found[1]).name == "small-plain"
    code, out, _ = run(*asked)  # finished: read from disk
    assert code == 0
    assert "small-plain, trained" in out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("small-plane",), "did you mean 'small-plain'"),
        (("small-plain", "--seeds", "0,one"), "--seeds '0,one': give whole numbers"),
        (("small-plain", "--seeds", ""), "give whole numbers"),
        (("small-plain", "--epochs", "0"), "epochs=0"),
    ],
)
def test_train_on_bad_input(run, tmp_path, wrong, told):
    code, out, err = run("train", *wrong, "--out", str(tmp_path / "nets"))
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "nets").exists()


# Lists


def test_datasets(run, tmp_path):
    rows = {row["name"]: row for row in rows_of(run("datasets", "--json"))}
    assert set(rows) == set(cv.cards())
    assert rows["virtual-cortex"]["simulated"] is True
    assert rows["virtual-cortex"]["here"] == "made when loaded"
    real = rows["cowley2023"]
    assert (real["simulated"], real["here"], real["regions"]) == (False, "0 of 12", "V4")
    assert real["subjects"] == "WE, PE, RA"
    assert real["megabytes"] > 1
    assert {"stimuli", "units", "repeats", "licence"} <= set(real)
    code, out, _ = run("datasets")
    assert code == 0
    assert str(tmp_path / "data") in out.replace("\n", "")
    assert all(name in out for name in rows)
    assert "simulated" in out


def test_networks(run):
    rows = rows_of(run("networks", "--json"))
    names = [row["name"] for row in rows]
    assert names[: len(cv.NETWORKS)] == list(cv.NETWORKS)
    assert {"torchvision:NAME", "timm:NAME", "package.module:function"} <= set(names)
    assert "efficientnet-lite2" in run("networks")[1]


def test_networks_that_are_trained_here(run):
    what = {row["name"]: row["what"] for row in rows_of(run("networks", "--json"))}
    assert "convergent train" in what["small-plain"]
    assert "ImageNet" in what["efficientnet-lite0"]
    rows = rows_of(run("networks", "small-residual", "--json"))
    assert {"layer": "blocks.0.first", "kind": "Sequential", "default": True} in rows


def test_layers_of_a_network(run):
    rows = rows_of(run("networks", "tinynetwork:make", "--json"))
    assert rows == [
        {"layer": "0", "kind": "Conv2d", "default": True},
        {"layer": "1", "kind": "ReLU", "default": False},
        {"layer": "2", "kind": "Conv2d", "default": True},
    ]
    assert "layers of tinynetwork:make" in run("networks", "tinynetwork:make")[1]


def test_fetch_of_what_is_simulated(run, tmp_path):
    code, out, err = run("fetch", "virtual-cortex")
    assert (code, err) == (0, "")
    assert out == "virtual-cortex is simulated when it is loaded: there is nothing to fetch\n"
    assert not all_files(tmp_path)


def test_fetch_says_where_the_files_lie(run, monkeypatch, tmp_path):
    asked = []
    files = [tmp_path / "a.npy", tmp_path / "b.zip"]
    monkeypatch.setattr(catalog, "fetch", lambda *words: asked.append(words) or files)
    assert run("fetch", "cowley2023/210325") == (0, f"{files[0]}\n{files[1]}\n", "")
    run("fetch", "cowley2023")
    assert asked == [("cowley2023", "210325"), ("cowley2023", None)]


# Bad input


TIMES = ("data ", "to score: ")


def is_told(result, message):
    """Whether the command ended with one line on stderr that holds the message."""
    code, out, err = result
    assert code == 2
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith(TIMES)]
    assert line.startswith("error: ")
    assert message in line
    return True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "efficientnet-light0"}, "'efficientnet-light0': did you mean 'efficient"),
        ({"network": "tinynetwrk:make"}, "there is no network tinynetwrk:make"),
        ({"network": "tinynetwork:mak"}, "has no attribute 'mak'"),
        ({"layers": "0,22"}, "there is no layer of tiny '22': did you mean '2'"),
        ({"metrics": "linear,procrustean"}, "'procrustean': did you mean 'procrustes'"),
        ({"data": "cowly2023"}, "no data set 'cowly2023': did you mean 'cowley2023'"),
        ({"data": "cowley2023"}, "cowley2023 has 12 sessions: give one"),
        ({"data": "cowley2023/210326"}, "no session of cowley2023 '210326': did you mean '210325'"),
        ({"data": "virtual-cortex/1"}, "virtual-cortex has no sessions, but session '1'"),
        ({"data": "nosuch.nc"}, "there is no nosuch.nc"),
        ({"stimuli": "nosuch"}, "there is no file nosuch"),
        ({"spatial": "centre"}, "'centre': did you mean 'center'"),
        ({"spatial": "positions-0"}, "N of 'positions-N' is a whole number"),
        ({"spatial": "positions-2"}, "recording.nc are whole images: use another"),
        ({"ceiling": "split-halves"}, "no ceiling 'split-halves': did you mean 'split-half'"),
        ({"by": "regoin"}, "no coordinate 'regoin': did you mean 'region'"),
        ({"group": "scenes"}, "'scenes': did you mean 'scene'"),
        ({"folds": 20}, "36 stimuli cannot be split in 20 folds"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "abacus"}, "cannot use the device 'abacus'"),
        ({"checkpoint": "nosuch.pt"}, "there is no checkpoint nosuch.pt"),
    ],
)
def test_bad_input_is_told_in_a_line(score, tmp_path, options, message):
    assert is_told(score(**options), message)
    assert not all_files(tmp_path)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ("other.nc", "share 0 of 36 stimuli"),
        ("means.nc", "needs at least two repeats"),
        ("tinynetwork.py", "no data set"),
    ],
)
def test_recording_that_does_not_fit_is_told_in_a_line(score, lab, recording, message):
    assert is_told(score(data=lab / recording), message)


def test_images_of_a_recording_are_missing(run, lab):
    told = run("score", "--data", lab / "recording.nc")
    assert is_told(told, "the images that go with")
    assert "add --stimuli FOLDER or ZIP" in told[2]


def test_image_that_does_not_open(score, lab, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes((lab / "images" / name).read_bytes())
    (folder / "07.png").write_bytes(b"")
    assert is_told(score(stimuli=folder), "stimulus '07.png' does not open as an image")


def test_unwritable_folder(score, tmp_path):
    (tmp_path / "file").write_text("before")
    code, _, err = score("--json", out=tmp_path / "file" / "out")
    assert code == 2
    assert f"error: cannot write to {tmp_path / 'file' / 'out'}" in err
    assert "choose another folder with --out" in err
    assert "Traceback" not in err
    assert (tmp_path / "file").read_text() == "before"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fetch", "cowley2023/21032"), "no session of cowley2023 '21032': did you mean '210325'"),
        (("fetch", "nosuch"), "there is no data set 'nosuch'"),
        (("networks", "efficientnet-lite9"), "there is no network 'efficientnet-lite9'"),
    ],
)
def test_other_commands_tell_bad_input_in_a_line(run, words, message):
    assert is_told(run(*words), message)


@pytest.mark.parametrize("words", [("scores",), ("score", "--what"), ("score", "--folds=five")])
def test_unknown_words_are_told(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Usage" in err
    assert words[-1].partition("=")[0] in err


def test_no_command_gives_help(run):
    _, out, err = run()
    for command in ("score", "datasets", "fetch", "networks"):
        assert command in out + err


# Comparison of networks


def test_layers_of_two_networks_are_compared(run, lab, tmp_path):
    words = ("compare", "tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")
    options = ("--metrics=linear,procrustes", "--folds=3", "--bootstrap=20", "--layers=0,2")
    code, out, err = run(*words, *options)
    assert code == 0, err
    assert "predicted by tinynetwork:make" in out
    assert "depth correlation" in out
    folder = tmp_path / "results"
    names = {"hierarchy.nc", "hierarchy.csv", "hierarchy.png", "hierarchy.svg"}
    assert all_files(folder) == names
    found = xr.load_dataset(folder / "hierarchy.nc", engine="h5netcdf")
    assert found["partner_of_target"].values.tolist() == [["0", "2"]] * 2
    rows = rows_of(run(*words, *options, "--json"))
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
    rows = rows_of(run("compare", *networks, *options, "--folds=18"))
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
def test_what_cannot_be_compared_is_told(run, lab, words, message):
    given = () if words[0].startswith("--stimuli") else ("--stimuli", lab / "images")
    networks = ("tinynetwork:make", "tinynetwork:make")
    assert is_told(run("compare", *networks, *given, "--folds=3", *words), message)


def test_a_shift_of_two_networks(run, lab, tmp_path):
    networks = ("tinynetwork:make", "tinynetwork:make", "--layers=0,2", "--folds=3")
    options = ("--metrics=procrustes", "--distortion=contrast,colour", "--stimuli", lab / "images")
    code, out, err = run("shift", *networks, *options, "--bootstrap=20", "--refits=5")
    assert code == 0, err
    assert "predicted by tinynetwork:make: colour" in out
    names = {
        f"shift-{x}.{end}" for x in ("contrast", "colour") for end in ("nc", "csv", "png", "svg")
    }
    assert all_files(tmp_path / "results") == names
    stimuli = cv.Stimuli.from_folder(lab / "images")
    net = cv.network("tinynetwork:make")
    shown = {
        x: cv.extract(net, cv.distort(stimuli, "colour", x), ["0", "2"]) for x in ("colour", "grey")
    }
    direct = cv.shift(shown, shown, "procrustes", folds=cv.Folds(3))
    rows = rows_of(run("shift", *networks, *options, "--json"))
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
    rows = rows_of(run("shift", *networks, *folders, "--json"))
    assert {row["level"] for row in rows} == {"faded"}
    (folder / stimuli.names[3]).unlink()
    lost = run("shift", *networks, *folders, "--json")
    assert is_told(lost, f"'{stimuli.names[3]}' are not in both")
    assert is_told(run("shift", *networks, *folders[:2]), "two or more times")
    assert is_told(run("shift", *networks, "--distortion=blurr"), "no distortion 'blurr'")


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


def test_a_trajectory_of_two_trainings(run, lab, tmp_path, trained):
    options = ("--pattern=step_{step}.pth", "--stimuli", lab / "images", "--layers=0,2")
    options += ("--metrics=linear,procrustes", "--folds=3")
    code, out, err = run("trajectory", *trained, *options)
    assert code == 0, err
    assert "share of the final alignment at step 1" in out
    names = {f"trajectory.{end}" for end in ("nc", "csv", "png", "svg")}
    assert all_files(tmp_path / "results") == names
    found = xr.load_dataset(tmp_path / "results" / "trajectory.nc", engine="h5netcdf")
    assert found["step"].values.tolist() == [0, 0.5, 1, 2]
    assert found["accuracy"].sel(network="two").values.tolist() == [0.1, 0.2, 0.5, 0.9]
    begun, own = found["r"].isel(step=0, against=0, pair=0), found["ceiling"].isel(step=0, run=0)
    np.testing.assert_allclose(begun, own, atol=1e-6)  # both begin as the same
    rows = rows_of(run("trajectory", *trained, *options, "--json"))
    assert len(rows) == 2 * 2 * 4 * 2


def test_what_is_no_trajectory_is_told(run, lab, tmp_path, trained):
    options = ("--pattern=step_{step}.pth", "--stimuli", lab / "images")
    assert is_told(run("trajectory", trained[0], *options), "two or more")
    assert is_told(run("trajectory", "one", "two", *options), "'one' is no training")
    assert is_told(
        run("trajectory", *trained, "--pattern=epoch.pt"), "not a file name with one {step}"
    )
    (tmp_path / "two" / "step_0.5.pth").unlink()
    assert is_told(run("trajectory", *trained, *options), "two lacks '0.5'")
    for name, classes in (("one", ["cat", "dog"]), ("two", ["cat", "fox"])):
        torch.save({}, tmp_path / name / "step_0.5.pth")
        (tmp_path / name / "settings.json").write_text(json.dumps({"classes": classes}))
    told = "one and two learned different classes ('dog', 'fox' are not in both)"
    assert is_told(run("trajectory", *trained, *options), told)


# Features of units


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Two saved populations whose units are shared in known ways."""
    folder = tmp_path_factory.mktemp("planted")
    pair = cv.simulate.convergent_pair(120, 10, shares=(0.6, 0.4, 0), block=4, private=2)
    return [one.save(folder / f"{one.name}.nc") for one in pair]


FEW = ("--shuffle=2", "--rotations=2", "--bootstrap=20", "--folds=3")


@pytest.mark.slow
def test_units_of_two_recordings(run, planted, tmp_path):
    code, out, err = run("features", *planted, *FEW)
    assert code == 0, err
    assert "some features are reliably shared" in out
    folder = tmp_path / "results"
    names = all_files(folder)
    assert {"units.csv", "matches.csv", "sparse.csv", "clusters.csv", "claims.csv"} <= names
    assert {"layers.csv", "overview.html", "overview.png", "00-A-matches.png"} <= names
    assert not any("best-stimuli" in name for name in names)  # there are no images
    units = pd.read_csv(folder / "units.csv")
    a, b = map(cv.open, planted)
    expected = cv.features.match_units(a, b, folds=cv.Folds(3), shuffle=None, bootstrap=None)
    best = expected["r"].sel(matching="semi").mean("fold")
    np.testing.assert_allclose(units["r"], best, atol=1e-9)
    page = (folder / "overview.html").read_text()
    assert page.count("data:image/png") == 7
    assert "the code lies between local and slightly distributed" in page


@pytest.mark.filterwarnings("ignore:no correlation between 'tiny")
def test_units_of_a_network_and_a_recording(run, lab, tmp_path):
    words = ("features", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    rows = rows_of(run(*words, "--layers=0,2", "--where-second=region=V1", *FEW, "--json"))
    assert [(row["layer"], row["n_source"], row["n_target"]) for row in rows] == [
        ("0", 6, 4),
        ("2", 8, 4),
    ]
    assert not all_files(tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no correlation between 'tiny")
def test_what_units_like_is_drawn(run, lab, tmp_path):
    words = ("features", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    code, _, err = run(*words, "--layers=0", *FEW, "--out=found")
    assert code == 0, err
    assert "00-0-best-stimuli.png" in all_files(tmp_path / "found")


def test_units_of_two_networks_at_positions(run, lab):
    words = ("features", "tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")
    (row,) = rows_of(
        run(*words, "--layers=2", "--spatial=positions", *FEW, "--shuffle=9", "--json")
    )
    assert row["semi"] == pytest.approx(1)
    assert row["shared"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinynetwork:make", "recording.nc"), "add --stimuli FOLDER or ZIP"),
        (("recording.nc", "means.nc", "--layers=0"), "has no layers: leave out '0'"),
        (("recording.nc", "means.nc", "--where=V4"), "give LABEL=VALUE"),
        (("recording.nc", "means.nc", "--where=region=IT"), "no unit has region"),
        (("recording.nc", "means.nc", "--clusters=9"), "k=9"),
        (("recording.nc", "other.nc"), "share 0"),
    ],
)
def test_what_has_no_features_in_common_is_told(run, lab, words, message):
    named = [lab / word if word.endswith(".nc") else word for word in words]
    assert is_told(run("features", *named, *FEW), message)
