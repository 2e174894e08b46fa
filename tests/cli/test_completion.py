"""Completion of names, as shells ask for it; nothing slow is imported for it."""

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from convergent import cli

COMMANDS = get_command(cli.app).commands


def completed(command, option, incomplete, given=()):
    """What a shell is offered for a word."""
    of = COMMANDS[command]
    context = of.make_context(command, list(given), resilient_parsing=True)
    parameter = next(one for one in of.params if option in (*one.opts, one.name))
    return [item.value for item in parameter.shell_complete(context, incomplete)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("v1.nc", "images.zip", "w.pt", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "v4.zarr").mkdir()
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "option", "incomplete", "expected"),
    [
        ("score", "--network", "eff", [f"efficientnet-lite{i}" for i in range(3)]),
        ("score", "--network", "small-plain=w", ["small-plain=w.pt"]),
        ("score", "--data", "v", ["virtual-cortex", "v1.nc", "v4.zarr"]),
        ("score", "--data", "cowley2023/2102", ["cowley2023/210224", "cowley2023/210225"]),
        ("score", "--stimuli", "d", ["drawings", "data/"]),
        ("score", "--stimuli", "im", ["images.zip"]),
        ("score", "--layers", "_blocks.1", [f"_blocks.{i}" for i in (1, *range(10, 16))]),
        ("score", "--layers", "_blocks.5,_conv", ["_blocks.5,_conv_stem"]),
        ("score", "--layers", "_conv_stem,_conv", []),
        ("score", "--metrics", "linear,", ["linear,procrustes", "linear,soft-matching"]),
        ("score", "--ceiling", "a", ["attainable"]),
        ("score", "--ceiling", "n", ["none"]),
        ("score", "--over", "units,st", ["units,stimuli"]),
        ("shift", "--distortion", "colour,con", ["colour,contrast"]),
        ("shift", "--distortion", "al", ["all"]),
        ("compare", "--references", "cka,cka", ["cka,cka-debiased"]),
        ("compare", "first", "v", ["virtual-cortex", "v1.nc", "v4.zarr"]),
        ("hierarchy", "second", "small-p", ["small-plain"]),
        ("networks", "name", "small-r", ["small-residual"]),
        ("fetch", "name", "cow", ["cowley2023"]),
        ("train", "network", "small-p", ["small-plain"]),
    ],
)
def test_names_are_completed(command, option, incomplete, expected):
    assert set(completed(command, option, incomplete)) >= set(expected)
    if not expected:
        assert completed(command, option, incomplete) == []


def test_layers_are_those_of_the_network_that_was_named():
    named = ["--network", "small-plain"]
    assert completed("score", "--layers", "st", named) == ["stem"]
    assert completed("score", "--layers", "st", ["--network", "timm:x"]) == []


CODE = """
import sys
from convergent.cli import main
try:
    main()
finally:
    found = {"torch", "numpy", "pandas", "xarray"} & set(sys.modules)
    assert not found, found
"""


def test_a_shell_is_answered_without_slow_imports(tmp_path):
    program = tmp_path / "convergent"
    program.write_text(CODE)
    asked = {"_CONVERGENT_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    environment = os.environ | asked | {"COMP_WORDS": "convergent score --network efficientnet-"}
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [f"efficientnet-lite{i}" for i in range(3)], done.stderr


def test_completion_is_installed(tmp_path):
    program = tmp_path / "convergent"
    program.write_text("from convergent.cli import main\nmain()\n")
    home = {"HOME": str(tmp_path / "home"), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, program, "--install-completion", "bash"],
        env=os.environ | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (script,) = (tmp_path / "home").rglob("convergent.sh")
    assert "_CONVERGENT_COMPLETE=complete_bash" in script.read_text()
