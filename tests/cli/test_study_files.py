"""Study files: a run is written beside its results, and repeated from there."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import convergent as cv
from convergent import cli
from convergent.cli.study_files import toml

COMMANDS = get_command(cli.app).commands
HOSTILE = [
    *('a"b', "a\\b", "a\nb", "a'''b", '"""', "\x1b[2J", "\x00", "\x7f", "\u202e", "層", "🜁"),
    *("[options]", "# no comment", "a = 1", " ", "é", "\u2028", "\t", "\U000e0001"),
]


def study(folder, name="study.toml"):
    return tomllib.loads((folder / name).read_text())


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_come_back_as_they_were(text):
    written = toml({"command": text}, {"options": {text: [text, text]}})
    assert tomllib.loads(written) == {"command": text, "options": {text: [text, text]}}
    assert "\x1b" not in written
    assert "\u202e" not in written


def test_values_come_back_as_they_were():
    values = {"a": True, "b": False, "c": 5, "d": 2**40, "e": 0.1, "f": 1e300, "g": -2.0, "h": []}
    assert tomllib.loads(toml(values, {})) == values
    assert tomllib.loads(toml({"x": float("inf")}, {})) == {"x": float("inf")}


def test_bytes_that_are_no_letters_are_refused():
    with pytest.raises(cv.InputError, match="bytes that are no letters"):
        toml({"x": os.fsdecode(b"\xff")}, {})


@pytest.fixture
def scored(score, tmp_path):
    """A folder of results of the tiny network."""
    assert score("--untrained", layers="stem", out="out", seed=3, network="small-plain").code == 0
    return tmp_path / "out"


def test_it_holds_all_that_decides_and_no_path_that_was_not_given(scored, lab, tmp_path):
    text = (scored / "study.toml").read_text()
    found = study(scored)
    options = found["options"]
    assert found["command"] == "score"
    assert options["network"] == "small-plain"
    assert options["untrained"] is True
    assert (options["seed"], options["folds"], options["bootstrap"]) == (3, 3, 0)
    assert options["out"] == "out"
    names = {one.opts[0].removeprefix("--") for one in COMMANDS["score"].params}
    without = {line[2:].partition(":")[0] for line in text.splitlines() if line.startswith("# ")}
    assert names - set(options) - without == {"config", "json", "overwrite"}
    assert set(found["versions"]) >= {"python", "convergent", "torch"}
    provenance = json.loads(cv.open(scored / "scores.nc").attrs["provenance"])
    assert found["inputs"]["targets"]["V1"] == provenance["targets"]["V1"]["sha256"]
    assert set(found["inputs"]["sources"]) == {"stem"}
    assert str(tmp_path) not in text.replace(str(lab), "")
    assert str(Path.home()) not in text or Path.home() in lab.parents


@pytest.fixture
def compared(run, lab, tmp_path):
    """A folder of results of two recordings, which takes no network."""
    words = ("compare", lab / "recording.nc", lab / "plain.zarr", "--references=cka", "--folds=3")
    done = run(*words, "--out=first", "--where=region=V4")
    assert done.code == 0, done.err
    assert "to repeat this run: convergent run first/study.toml" in done.err
    return tmp_path / "first"


def values(folder):
    return cv.open(folder / "comparison.nc")["value"].values.tolist()


def test_a_run_is_repeated(run, compared, tmp_path):
    done = run("run", "first/study.toml", "--out", "again")
    assert done.code == 0, done.err
    assert "warning" not in done.err
    assert values(tmp_path / "again") == values(compared)
    first, again = study(compared), study(tmp_path / "again")
    assert again["options"].pop("out") == "again"
    first["options"].pop("out")
    assert again == first
    assert run("run", "first/study.toml").code == 0  # the same run in the same folder


def test_options_replace_those_of_the_file(run, compared, tmp_path):
    assert run("run", "first/study.toml", "--out=other", "--seed", "5", "--folds=4").code == 0
    options = study(tmp_path / "other")["options"]
    assert (options["seed"], options["folds"]) == (5, 4)
    assert options["where"] == "region=V4"
    assert values(tmp_path / "other") != values(compared)
    words = ("compare", "--config", "first/study.toml", "--out=third", "--seed=5", "--folds=4")
    assert run(*words).code == 0
    assert values(tmp_path / "third") == values(tmp_path / "other")
    refused = run("run", "first/study.toml", "--seed=1")
    assert refused.is_refused("first/comparison.nc is of another run (--seed was 0, and is 1)")


def test_other_inputs_than_those_of_the_file_are_told(run, compared):
    done = run("run", "first/study.toml", "--out=other", "--where=region=V1")
    assert done.code == 0
    assert "to repeat" in done.err
    (compared / "study.toml").write_text(
        (compared / "study.toml").read_text().replace('plain = "', 'plain = "0')
    )
    done = run("run", "first/study.toml", "--out=third")
    assert (
        "warning: the inputs are not those of first/study.toml: 'second plain' differ" in done.err
    )


def test_paths_are_relative_to_the_folder_of_the_command(run, lab, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.chdir(lab)
        words = ("compare", "recording.nc", "plain.zarr", "--references=cka", "--folds=3")
        assert run(*words, "--out", tmp_path / "out").code == 0
        found = study(tmp_path / "out")["options"]
        assert (found["first"], found["second"]) == ("recording.nc", "plain.zarr")
        assert run("run", tmp_path / "out" / "study.toml", "--out", tmp_path / "b").code == 0
    refused = run("run", tmp_path / "out" / "study.toml", "--out", tmp_path / "c")
    assert refused.is_refused("there is no recording.nc")


def test_a_home_folder_is_not_written_out(run, lab, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(lab))
    words = ("compare", "~/recording.nc", "~/plain.zarr", "--references=cka", "--folds=3")
    assert run(*words, "--out=out").code == 0
    text = (tmp_path / "out" / "study.toml").read_text()
    assert 'first = "~/recording.nc"' in text
    assert str(lab) not in text


def test_commands_in_one_folder_have_study_files_of_their_own(run, compared, lab):
    (compared / "study.toml").write_text('command = "score"\n')
    words = ("compare", lab / "recording.nc", lab / "plain.zarr", "--references=cka", "--folds=3")
    assert run(*words, "--out=first", "--where=region=V4").code == 0
    assert study(compared)["command"] == "score"
    assert study(compared, "study-compare.toml")["command"] == "compare"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('command = "compare"\n[options]\nfold = 3', "study.toml: there is no key 'fold': did you"),
        ('command = "compare"\n[option]\nfolds = 3', "no key 'option': did you mean 'options'"),
        ('command = "comparre"', "no command with study files 'comparre': did you mean 'compare'"),
        ('command = "fetch"', "no command with study files 'fetch'"),
        ("[options]\nfolds = 3", 'add command = "score" at its top'),
        ("command = 3", "give command = "),
        ("command = ", "study.toml is no TOML file: "),
        ("\xff", "is no TOML file: its letters are not UTF-8"),
        ('command = "compare"\n[options]\nfolds = "3"', "folds = '3': give a whole number"),
        ('command = "compare"\n[options]\nfolds = 3.5', "folds = 3.5: give a whole number"),
        ('command = "compare"\n[options]\nfolds = true', "folds = True: give a whole number"),
        ('command = "compare"\n[options]\nfirst = 1', "first = 1: give a text"),
        ('command = "compare"\n[options]\nfirst = ""', "first has no value"),
        ('command = "compare"\n[options]\nlayers = ["a,b"]', "layers holds 'a,b': commas separate"),
        (
            'command = "score"\n[options]\nuntrained = "yes"',
            "'yes': give true or false",
        ),
        ('command = "trajectory"\n[options]\nruns = "a"', "give a list of texts"),
        ('command = "compare"\n[options]\nconfig = "x"', "there is no key 'config'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(run, tmp_path, text, message):
    (tmp_path / "study.toml").write_bytes(text.encode("latin-1"))
    assert run("run", "study.toml").is_refused(message)


def test_what_is_no_study_file_of_a_command(run, tmp_path):
    assert run("run", "nosuch.toml").is_refused("there is no study file nosuch.toml")
    assert run("compare", "--config=nosuch.toml").is_refused("there is no study file nosuch.toml")
    (tmp_path / "study.toml").write_text('command = "score"\n')
    refused = run("compare", "--config=study.toml")
    assert refused.is_refused("is a study of convergent score, not of convergent compare")
    assert "convergent run study.toml" in refused.err
    (tmp_path / "empty.toml").write_text("")
    assert run("compare", "--config=empty.toml").is_refused("Missing argument")


def test_lists_and_texts_are_the_same(run, lab, tmp_path):
    lines = [
        'command = "compare"',
        "[options]",
        f"first = {json.dumps(str(lab / 'recording.nc'))}",
        f"second = {json.dumps(str(lab / 'plain.zarr'))}",
        'references = ["cka", "mutual-knn"]',
        "folds = 3",
    ]
    (tmp_path / "study.toml").write_text("\n".join(lines))
    rows = run("run", "study.toml", "--json").rows()
    assert {"cka", "mutual-knn"} <= {row["measure"] for row in rows}


@pytest.mark.parametrize("command", ["hierarchy", "shift", "trajectory", "features", "findings"])
def test_long_commands_take_study_files(run, tmp_path, command):
    (tmp_path / "study.toml").write_text(f'command = "{command}"\n[options]\ndevise = "cpu"')
    assert run("run", "study.toml").is_refused("no key 'devise': did you mean 'device'")
