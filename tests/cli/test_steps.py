"""What a command says while it works, and when it is stopped."""

import io
import signal
import sys
import time

import pytest

import convergent as cv
from convergent.base import progress
from convergent.cli import steps
from convergent.cli.console import note, print_line


@pytest.fixture
def soon(monkeypatch):
    """Steps are named at once, and dots follow quickly."""
    monkeypatch.setattr(steps, "_SOON", 0.02)
    monkeypatch.setattr(steps, "_DOT", 0.02)


def wait_for(text, capsys, found=""):
    for _ in range(500):
        found += capsys.readouterr().err
        if text in found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{text!r} is not in {found!r}")


@pytest.mark.usefixtures("soon")
def test_a_step_is_named_while_it_lasts(capsys):
    with steps.doing("scores [of] V4\x1b"):
        found = wait_for("scores [of] V4\\x1b .....", capsys)
        note("warning: in between")
        found += wait_for("scores [of] V4\\x1b ....", capsys)
    lines = (found + capsys.readouterr().err).splitlines()
    assert [line.rstrip(".") for line in lines[:3]] == [
        "scores [of] V4\\x1b ",
        "warning: in between",
        "scores [of] V4\\x1b ",
    ]
    assert lines[-1].startswith("scores [of] V4\\x1b: 0.")


@pytest.mark.usefixtures("soon")
def test_what_is_printed_does_not_continue_a_line_of_dots(capsys):
    with steps.doing("work"):
        wait_for("work ....", capsys)
        print_line("result")
        captured = capsys.readouterr()
        assert captured.out == "result\n"
        assert captured.err.endswith("\n")


def test_a_short_step_says_nothing(capsys):
    with steps.doing("work"):
        pass
    with steps.doing("other", always=True):
        pass
    assert capsys.readouterr().err == "other: 0.0 s\n"


@pytest.mark.usefixtures("soon")
def test_the_innermost_step_is_named(capsys):
    with steps.doing("outer"), steps.doing("inner"):
        found = wait_for("inner ....", capsys)
    assert "outer ..." not in found


@pytest.mark.usefixtures("soon")
def test_a_bar_is_left_alone(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_bars", ["scoring"])
    with steps.doing("work"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_bar_is_known_while_it_is_displayed(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    seen = [progress.displayed() for _ in progress.track([1, 2], "work", 2, show=True)]
    assert seen == [True, True]
    assert not progress.displayed()


def test_no_two_seconds_of_a_command_are_silent(score, monkeypatch):
    """Time between what is written, where the work itself takes longer."""
    written = []
    plain = steps.add_dots
    monkeypatch.setattr(steps, "add_dots", lambda *a: written.append(time.time()) or plain(*a))
    real = cv.score

    def slow(*given, **settings):
        time.sleep(2.8)
        return real(*given, **settings)

    monkeypatch.setattr(cv, "score", slow)
    assert score("--json").code == 0
    assert len(written) >= 2
    assert steps._SOON + 0.5 < 2
    assert steps._DOT + 0.4 < 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, signal.SIGTERM])
def test_a_command_that_is_stopped_says_how_to_go_on(score, tmp_path, monkeypatch, error):
    def stop(*_given, **_settings):
        if error is KeyboardInterrupt:
            raise KeyboardInterrupt
        signal.raise_signal(error)

    monkeypatch.setattr(cv, "score", stop)
    done = score(out=tmp_path / "my results")
    assert done.code == (130 if error is KeyboardInterrupt else 143)
    last = done.err.splitlines()[-1]
    study = tmp_path / "my results" / "study"
    assert last.startswith(f"interrupted: finished work stays in {study}. To go on")
    assert f"'--out={tmp_path / 'my results'}'" in last
    assert "convergent score --network=tinynetwork:make" in last
    assert list((study / "layers").iterdir())  # it is there
    nothing = score("--json")
    assert "interrupted: nothing is kept. To begin again: convergent score" in nothing.err


def test_what_other_commands_keep(run, monkeypatch, tmp_path):
    def stop(*_given, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(cv, "train", stop)
    monkeypatch.setattr(cv, "findings", stop)
    done = run("train", "small-plain", "--seeds", "0,1")
    assert "finished checkpoints stay in trained" in done.err
    assert done.err.endswith("in the same folder: convergent train small-plain --seeds 0,1\n")
    assert "finished trainings stay in findings" in run("findings", "--reduced").err
    assert not (tmp_path / "trained").exists()
