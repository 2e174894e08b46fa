"""The application: its help, warnings, and errors."""

import json
import os
import shlex
import subprocess
import sys
import warnings
from importlib.metadata import version
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import convergent as cv
from convergent import cli
from convergent.cli.commands import Command, Commands
from convergent.cli.examples import EXAMPLES

COMMANDS = get_command(cli.app).commands
HEAVY = {"matplotlib", "nibabel", "ot", "sklearn", "torch"}
LOADED = """
import sys
from convergent import cli

for words in {words!r}:
    sys.argv = ["convergent", *words]
    try:
        cli.main()
    except SystemExit as stopped:
        assert not stopped.code, words
    found = {heavy!r} & {{name.partition(".")[0] for name in sys.modules}}
    assert not found, (words, found)
"""


@pytest.mark.parametrize(
    "words",
    [
        [["--help"], *([name, "--help"] for name in COMMANDS)],
        [["datasets"], ["datasets", "--json"]],
        [["fetch", "virtual-cortex"]],
    ],
    ids=["help", "datasets", "fetch"],
)
def test_what_needs_no_library_imports_none(words, tmp_path):
    code = LOADED.format(words=words, heavy=HEAVY)
    environment = os.environ | {"CONVERGENT_DATA": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_holds_every_text_as_it_is_written(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    printed = " ".join(out.replace("│", " ").split())
    for parameter in COMMANDS[name].params:
        text = parameter.help or ""
        assert " ".join(text.split()) in printed
        if isinstance(getattr(parameter, "show_default", None), str):
            assert f"[default: ({parameter.show_default})]" in printed
    assert " ".join(COMMANDS[name].help.split()) in printed


def test_help_loses_no_text_at_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in COMMANDS:
        out = run(name, "--help").out
        assert "…" not in out
        assert max(map(len, out.splitlines())) <= 80
        for example in EXAMPLES[name]:
            assert " ".join(example.split()) in " ".join(out.split())


def test_brackets_in_a_help_text_are_printed():
    app = typer.Typer(cls=Commands, help="All [of] them, [bold]too[/bold].")

    @app.command(cls=Command, epilog="Examples:\n  pip install 'convergent[cluster]'")
    def one(
        where: Annotated[str, typer.Option(help="A [place], or [red]none[/red].")] = "[here]",
    ) -> None:
        """Do what is missing [and only that]."""

    app.command()(lambda: None)
    printed = " ".join(CliRunner().invoke(app, ["one", "--help"], color=False).output.split())
    for text in ("[and only that]", "A [place], or [red]none[/red].", "[here]", "t[cluster]'"):
        assert text in printed
    both = CliRunner().invoke(app, ["--help"], color=False).output
    assert "All [of] them, [bold]too[/bold]." in both
    assert "[and only that]" in both
    command = get_command(app).commands["one"]
    assert command.help == "Do what is missing [and only that]."  # pages are made from it


def test_options_are_grouped(run):
    out = run("score", "--help").out
    titles = ["What is compared", "Protocol", "Uncertainty", "Where work is done", "Output"]
    places = [out.index(f"─ {title} ─") for title in titles]
    assert places == sorted(places)
    for name, command in COMMANDS.items():
        for one in command.params:
            if one.param_type_name == "option":
                assert one.rich_help_panel in titles, (name, one.name)


def words_of(example):
    return shlex.split(example.replace("\\\n", " "))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_read_by_the_command_line(name):
    for example in EXAMPLES[name]:
        program, command, *words = words_of(example)
        assert program == "convergent"
        assert max(map(len, example.splitlines())) <= 76
        COMMANDS[command].make_context(command, words).close()


def test_version(run):
    assert run("--version") == (0, f"convergent {version('convergent')}\n", "")


def test_warnings_are_lines_and_their_settings_are_restored(run, monkeypatch):
    def simulated(*_given):
        warnings.warn("the disk is nearly full", stacklevel=1)
        return []

    monkeypatch.setattr(cv, "fetch", simulated)
    before = warnings.showwarning, warnings.formatwarning, list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = run("fetch", "virtual-cortex")
    assert (code, err) == (0, "warning: the disk is nearly full\n")
    assert (warnings.showwarning, warnings.formatwarning, list(warnings.filters)) == before


@pytest.mark.slow
def test_package_runs_as_a_module(lab, tmp_path, all_files):
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
    *steps, error = done.stderr.splitlines()
    assert error == "error: there is no data set 'cowly2023': did you mean 'cowley2023'?"
    assert all(step.startswith("convergent score") for step in steps)  # on a slow machine


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fetch", "cowley2023/21032"), "no session of cowley2023 '21032': did you mean '210325'"),
        (("fetch", "nosuch"), "there is no data set 'nosuch'"),
        (("networks", "efficientnet-lite9"), "there is no network 'efficientnet-lite9'"),
    ],
)
def test_other_commands_refuse_bad_input_in_a_line(run, words, message):
    assert run(*words).is_refused(message)


@pytest.mark.parametrize("words", [("scores",), ("score", "--what"), ("score", "--folds=five")])
def test_unknown_words_are_refused(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words[-1].partition("=")[0] in err
    assert "--help" in err


def test_no_command_gives_help(run):
    _, out, err = run()
    for command in ("score", "datasets", "fetch", "networks"):
        assert command in out + err
