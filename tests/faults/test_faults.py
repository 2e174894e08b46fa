"""A part of the fault suite; in full: ``python tests/faults/run.py``."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

GOOD = {"survived", "noticed", "no checksum"}
STUDIES = (
    *("kills", "damage", "full disk", "two at once", "changed code"),
    *("names", "hostile files", "sameness"),
)


def run(folder, *words):
    """What became of each fault: a table with the columns study, kind, case, found and detail."""
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--csv", folder / "all.csv"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    table = pd.read_csv(folder / "all.csv", keep_default_na=False)
    failed = not table["found"].isin(GOOD | {"raw traceback"}).all()
    assert done.returncode == failed
    return table


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A few faults of each study."""
    return run(tmp_path_factory.mktemp("faults"), "--few")


def bad(table):
    """Faults that were neither survived nor noticed."""
    return table[~table["found"].isin(GOOD)].drop(columns="study").to_dict("records")


@pytest.mark.parametrize("study", STUDIES)
def test_faults_are_survived_or_noticed(few, study):
    table = few[few["study"] == study]
    assert len(table)
    assert bad(table) == []


@pytest.mark.slow
def test_commands_and_trainings(tmp_path):
    studies = ("kills", "full disk", "two at once")
    table = run(tmp_path, "--only", *studies, "--of", "score --out", "train", "--each", "1")
    assert set(table["study"]) == set(studies)
    assert bad(table) == []


@pytest.mark.slow
def test_names_at_the_command_line(tmp_path):
    assert bad(run(tmp_path, "--only", "names", "--of", "layer, command", "--each", "4")) == []
