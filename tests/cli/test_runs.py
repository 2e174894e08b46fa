"""A run does not destroy the results of another one; the same run continues."""

import json

import pytest
import xarray as xr

import convergent as cv
from convergent.base.checksums import add_trailer
from convergent.cli.runs import Run

OPTIONS = {
    "network": "small-plain",
    "layers": "stem,head",
    "metrics": "linear",
    "folds": 5,
    "bootstrap": 0,
    "by": None,
}


@pytest.fixture
def kept(tmp_path):
    """A file of a run of these options."""

    def kept(command="score", **options):
        path = tmp_path / "scores.nc"
        attrs = Run(command, OPTIONS | options, False, None).attrs
        xr.Dataset(attrs=attrs).to_netcdf(path, engine="h5netcdf")
        return path

    return kept


@pytest.mark.parametrize(
    ("command", "before", "now"),
    [
        ("score", {}, {}),
        ("score", {}, {"metrics": "procrustes, linear"}),
        ("score", {}, {"layers": "stem,body,head"}),
        ("compare", {}, {"layers": "stem,body,head"}),
        ("hierarchy", {}, {"metrics": "linear,soft-matching"}),
        ("score", {}, {"bootstrap": 100, "refits": 20, "over": "stimuli"}),
        ("score", {"controls": 0, "shuffle": 0}, {"controls": 3, "shuffle": 9}),
    ],
)
def test_runs_that_give_all_that_was_there(kept, command, before, now):
    Run(command, OPTIONS | before | now, False, None).check(kept(command, **before))


@pytest.mark.parametrize(
    ("command", "before", "now", "message"),
    [
        ("score", {}, {"layers": "stem"}, "--layers was stem,head, and is stem"),
        ("score", {}, {"layers": None}, "--layers was stem,head, and is not given"),
        ("score", {"layers": None}, {"layers": "stem"}, "--layers was not given, and is stem"),
        ("score", {"metrics": "a,b"}, {"metrics": "b"}, "--metrics was a,b, and is b"),
        ("score", {}, {"folds": 4, "by": "region"}, "--folds was 5, and is 4, --by was not given,"),
        ("score", {"bootstrap": 9}, {"bootstrap": 0}, "--bootstrap was 9, and is 0"),
        ("score", {"bootstrap": 9}, {"bootstrap": 99}, "--bootstrap was 9, and is 99"),
        ("score", {"refits": 2}, {"refits": 3}, "--refits was 2, and is 3"),
        ("hierarchy", {}, {"layers": "stem,body,head"}, "--layers was stem,head, and is stem,body"),
        ("trajectory", {"runs": ["a", "b"]}, {"runs": ["a", "c"]}, r"\(runs was a b, and is a c\)"),
    ],
)
def test_runs_that_would_not_give_it(kept, command, before, now, message):
    run = Run(command, OPTIONS | before | now, False, None)
    with pytest.raises(cv.InputError, match=rf"scores\.nc is of another run .*{message}"):
        run.check(kept(command, **before))
    Run(command, run.options, overwrite=True, context=None).check(kept(command, **before))


def test_runs_of_another_command_or_of_an_unknown_one(kept):
    path = kept("findings")
    with pytest.raises(cv.InputError, match=r"another run \(of convergent findings\).*--overwrite"):
        Run("score", OPTIONS, False, None).check(path)
    add_trailer(path)
    path.write_bytes(path.read_bytes().replace(b"findings", b"findinks"))
    with pytest.raises(cv.InputError, match=r"not known, as it is damaged: .*--overwrite"):
        Run("score", OPTIONS, False, None).check(path)
    for attrs in ({}, {"command": "no json"}, {"command": "[]"}):
        path.unlink()
        xr.Dataset(attrs=attrs).to_netcdf(path, engine="h5netcdf")
        with pytest.raises(cv.InputError, match=r"another run \(which one is not known\)"):
            Run("score", OPTIONS, False, None).check(path)
    path.write_bytes(b"damaged")
    with pytest.raises(cv.InputError, match=r"another run \(which one is not known\)"):
        Run("score", OPTIONS, False, None).check(path)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_scores_of_another_run_are_left_unless_told(score, lab, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    assert score(out=folder).code == 0
    before = contents(folder)

    def never(*_given):
        raise AssertionError("worked")

    with monkeypatch.context() as patch:
        patch.setattr("convergent.networks.into_store._write_row", never)
        for options, message in (
            ({"layers": "2"}, "--layers was not given, and is 2"),
            ({"by": "subject"}, "--by was not given, and is subject"),
            ({"data": lab / "means.nc", "ceiling": "none"}, f"--data was {lab}/recording.nc, and"),
        ):
            done = score(out=folder, **options)
            assert done.is_refused(message)
            assert done.is_refused("out/scores.nc is of another run (")
        # the same run, written otherwise; what decides no number
        patch.chdir(lab)
        again = {"data": "recording.nc", "stimuli": "images", "batch_size": 7}
        assert score(out=folder, **again).code == 0
    assert contents(folder).keys() == before.keys()
    rows = score("--json", "--overwrite", out=folder, layers="2").rows()
    assert {row["source"] for row in rows} == {"2"}
    assert cv.open(folder / "scores.nc")["source"].values.tolist() == ["2"]
    assert json.loads(cv.open(folder / "scores.nc").attrs["command"])["options"]["layers"] == "2"


def test_commands_have_results_of_their_own_in_a_folder(run, lab):
    given = ["tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images", "--folds=3"]
    layers = ["--layers=0,2", "--metrics=linear"]
    assert run("hierarchy", *given, *layers).code == 0
    assert run("compare", *given, "--layers=0", "--references=cka").code == 0
    refused = run("compare", *given, "--layers=0", "--references=cka", "--seed=1")
    assert refused.is_refused("results/comparison.nc is of another run (--seed was 0, and is 1)")
    found = run("findings", "--reduced", "--out=results")
    assert found.is_refused("results/hierarchy.nc is of another run (of convergent hierarchy)")


@pytest.mark.slow
def test_each_distortion_has_a_result_of_its_own(run, lab, tmp_path):
    given = ["tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images", "--layers=0,2"]
    given += ["--metrics=linear", "--folds=3"]
    assert run("shift", *given, "--distortion=contrast").code == 0
    before = (tmp_path / "results" / "shift-contrast.nc").read_bytes()
    assert run("shift", *given, "--distortion=rotation").code == 0
    assert (tmp_path / "results" / "shift-contrast.nc").read_bytes() == before
    refused = run("shift", *given, "--seed=1", "--distortion=rotation,colour")
    assert refused.is_refused("results/shift-rotation.nc is of another run (--seed was 0")


@pytest.mark.slow
def test_features_of_other_layers(run, lab, tmp_path):
    given = ["tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images", "--folds=3"]
    given += ["--bootstrap=10", "--shuffle=2", "--rotations=2"]
    assert run("features", *given, "--layers=2").code == 0
    assert run("features", *given, "--layers=0").is_refused("another run (--layers was 2, and is 0")
    assert run("features", *given, "--layers=0", "--overwrite").code == 0
    left = [path.name for path in (tmp_path / "results").glob("00-*")]
    assert left
    assert all(name.startswith("00-0-") for name in left)
    assert run("features", *given, "--layers=0").code == 0
