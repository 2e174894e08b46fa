"""How commands end: with one line, whatever went wrong, and with nothing of this folder run."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import convergent as cv
from convergent.cli.console import print_table

OWN = """
{top}
def make():
    {body}
"""


@pytest.mark.parametrize("word", ["", "--data=", " "])
def test_an_empty_value_is_refused(run, word):
    assert run("score", "--stimuli", "drawings", word).is_refused("no value")


@pytest.mark.parametrize(
    "words",
    [
        ("score", "--seed=4294967296"),
        ("score", "--seed=-1"),
        ("score", "--controls=-1"),
        ("score", "--bootstrap=x"),
        ("score", "--data=~/nowhere.nc"),
        ("score", "--metrics=,"),
        ("shift", "small-plain", "small-plain", "--distortion=,"),
        ("hierarchy", "small-plain"),
        ("trajectory", "small-plain", "="),
        ("train", "small-plain", "--seeds=" + "9" * 30),
        ("fetch", "x" * 10_000),
        ("networks", "a\x1b[2J:make"),
        ("networks", "json:loads"),
    ],
)
def test_bad_values_end_in_one_short_line(run, words):
    done = run(*words)
    assert done.is_refused("")
    assert "fault of convergent" not in done.err
    assert len(done.err) < 600
    assert "\x1b" not in done.err


def test_sentences_of_a_table_are_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "900")
    sentence = "layers differ by 0.12, " * 20
    print_table("claims", [{"layer": "n" * 240, "evidence": sentence}])
    shown = capsys.readouterr().out
    assert sentence.strip() in shown
    assert "n" * 40 + "..." in shown
    assert "n" * 101 not in shown


@pytest.mark.parametrize("options", [{"network": "tinynetwork:make="}, {"layers": ","}])
def test_names_that_lack_a_part_end_in_a_line(score, options):
    assert score("--json", **options).is_refused("")


def test_home_is_known_where_the_shell_leaves_it(run, monkeypatch, lab):
    monkeypatch.setenv("HOME", str(lab))
    words = ("features", "~/recording.nc", "--stimuli=~/nowhere.zip")
    assert run(*words, "~/means.nc").is_refused(f"there is no file {lab}/nowhere.zip")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "in the same folder: convergent fetch virtual-cortex\n"),
        (MemoryError("Unable to allocate 3 TiB"), 2, "not enough memory"),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left"),
        (cv.InputError("V4\x1b[2J\n[/b]"), 2, "error: V4\\x1b[2J\\n[/b]\n"),
    ],
)
def test_what_stops_a_command_is_said_in_a_line(run, monkeypatch, error, code, text):
    monkeypatch.setattr(cv, "fetch", Mock(side_effect=error))
    done = run("fetch", "virtual-cortex")
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert done.err.count("\n") == 1


def test_a_command_that_is_terminated_ends_in_order(run, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cv, "fetch", lambda *_given: os.kill(os.getpid(), signal.SIGTERM))
    done = run("fetch", "x")
    assert (done.code, done.out) == (143, "")
    assert done.err.endswith("To go on where it stopped, in the same folder: convergent fetch x\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_fault_of_ours_is_kept_in_a_file(run, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cv, "fetch", Mock(side_effect=KeyError("x")))
    code, out, err = run("fetch", "virtual-cortex")
    (file,) = tmp_path.glob("convergent-*.txt")
    assert (code, out) == (1, "")
    assert err.startswith("error: KeyError: 'x'. This is a fault of convergent")
    assert str(file) in err
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("top", "body", "seen"),
    [
        ("", "return {}['V4']", "make in"),
        ("", "import nosuchpackage", "make in"),
        ("raise ValueError('own')", "pass", "ValueError: own"),
        ("x = = 1", "pass", "x = = 1"),
    ],
)
def test_code_of_the_user_keeps_its_traceback(run, tmp_path, top, body, seen):
    (tmp_path / "ownnetwork.py").write_text(OWN.format(top=top, body=body))
    code, out, err = run("networks", "ownnetwork:make")
    sys.modules.pop("ownnetwork", None)
    assert code
    assert out == ""
    assert str(tmp_path / "ownnetwork.py") in err
    assert seen in err
    assert err.splitlines()[-1].startswith("error: ")
    assert "networks/known.py" not in err  # the traceback begins in the module of the user


def test_this_folder_is_searched_last_and_only_for_modules_of_the_user(run, tmp_path):
    path = list(sys.path)
    (tmp_path / "timm.py").write_text("raise AssertionError('not this one')")
    run("networks", "timm:resnet18")
    run("networks", "json:nothing")
    assert sys.path == path
    (tmp_path / "owndata.py").write_text("")
    run("networks", "owndata:make")
    sys.modules.pop("owndata", None)
    assert sys.path == [*path, str(Path.cwd())]


@pytest.fixture
def downloaded(tmp_path):
    """A folder whose files have the names of packages, and are not to be run."""
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name in ("pooch", "numpy", "rich", "typing_extensions", "torch", "json", "ast", "timm"):
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        (folder / f"{name}.py").write_text(text)
    return folder


def as_program(words, folder, **settings):
    """Run the program of an installation in a folder."""
    program = folder.parent / "convergent"
    program.write_text("from convergent.cli import main\nmain()\n")
    return subprocess.run([sys.executable, program, *words], cwd=folder, check=False, **settings)


def as_module(words, folder, **settings):
    command = [sys.executable, "-m", "convergent", *words]
    return subprocess.run(command, cwd=folder, check=False, **settings)


@pytest.mark.parametrize("start", [as_program, as_module])
@pytest.mark.parametrize(
    "words", [["datasets"], pytest.param(["networks", "timm:x"], marks=pytest.mark.slow)]
)
def test_files_of_this_folder_are_not_run(start, words, downloaded):
    done = start(words, downloaded, capture_output=True, text=True)
    assert done.returncode == (0 if words == ["datasets"] else 2), done.stderr
    assert not (downloaded.parent / "ran").exists()


def test_folders_that_the_user_names_are_kept(downloaded):
    """A folder on PYTHONPATH is meant, even where it is this one."""
    environment = os.environ | {"PYTHONPATH": str(downloaded)}
    command = [sys.executable, "-m", "convergent", "datasets"]
    done = subprocess.run(command, cwd=downloaded, env=environment, check=False)
    assert done.returncode
    assert (downloaded.parent / "ran").exists()


def test_a_terminal_without_the_letters_of_a_name(tmp_path):
    (tmp_path / "x").mkdir()
    plain = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "CONVERGENT_DATA": "層"}
    done = as_program(
        ["datasets"], tmp_path / "x", env=os.environ | plain, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u5c64" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_output_that_cannot_be_written_is_an_error_and_output_that_nobody_reads_is_none(tmp_path):
    (tmp_path / "x").mkdir()
    with Path("/dev/full").open("w") as full:
        done = as_program(
            ["datasets", "--json"], tmp_path / "x", stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    done = as_program(["datasets"], tmp_path / "x", stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
