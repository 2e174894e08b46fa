"""How a command ends: with its results, or with one line that says what is wrong."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import typer
from typer.main import get_command

from ..base.code import installed
from ..base.errors import InputError, shortened
from .console import note
from .hints import spoken
from .steps import begin, interrupted

__all__ = ["end"]

_MOST = 500  # characters of another package's message
_PACKAGE = Path(__file__).parents[1]


def end(app: Callable[..., Any], words: Sequence[str]) -> int:
    """Run a command to its end, and print what went wrong on stderr.

    Parameters
    ----------
    app : function
        The application: takes words, and raises what went wrong.
    words : list of str
        The command, its arguments and options.

    Returns
    -------
    int
        Exit code: 0; 2 where the input is wrong; 1 where code of the user's, or ours, failed; 130
        and 143 where the user, or the machine, stopped the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal may lack the letters of a name
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings(), _until_terminated():  # the first restores showwarning
        warnings.showwarning = partial(_show_warning, _options(app, words))
        try:
            begin()
            _check_given(words)
            code = app(words, standalone_mode=False)
        except _Terminated:
            note(interrupted(words))
            return 128 + signal.SIGTERM
        except Exception as error:
            return _explained(error, _options(app, words))
        if code == 128 + signal.SIGINT:
            note(interrupted(words))
        return code if isinstance(code, int) else 0


def _check_given(words: Sequence[str]) -> None:
    """Refuse options and arguments without a value, as where a variable of the shell is empty."""
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("--") and word.find("=") == len(word) - 1:
            raise InputError(f"{word} has no value: give one, or leave the option out.")
        if not word.strip():
            where = f"after {before} " if before else ""
            raise InputError(f"{word!r} {where}is no value: give one, or leave it out.")


class _Terminated(SystemExit):
    """The machine asked the command to stop."""


@contextmanager
def _until_terminated() -> Iterator[None]:
    """Stop in order where the machine says so, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are for the main thread
        return

    def stop(*_of_signal: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _options(app: Any, words: Sequence[str]) -> dict[str, str]:
    """Options of the command that was called, by the names of its parameters."""
    group: Any = get_command(app) if isinstance(app, typer.Typer) else None
    commands = group.commands if group else {}
    command = commands.get(next(iter(words), ""))
    several = commands.values() if command is commands.get("run") else [command]
    return {
        parameter.name: parameter.opts[0]
        for one in several
        if one is not None
        for parameter in one.params
        if parameter.param_type_name == "option"
    }


def _explained(error: Exception, options: Mapping[str, str]) -> int:
    """Print what went wrong; return the exit code."""
    own = _of_user(error) or (_of_user(error.__cause__) if error.__cause__ else None)
    if own:
        for line in own.format():
            for part in line.splitlines():
                note(part)
    if isinstance(error, InputError | OSError):
        note(f"error: {spoken(str(error), options)}")
        return 2
    if hasattr(error, "format_message"):  # what typer says of words that it does not know
        of = getattr(error, "ctx", None)
        text = error.format_message().rstrip(".").replace("?.", "?")
        note(
            f"error: {text}{'' if text.endswith('?') else '.'}"
            + (f" See {of.command_path} --help." if of else "")
        )
        return 2
    what = f"{type(error).__name__}: {shortened(str(error), _MOST)}"
    if own:
        place = own.stack[-1] if own.stack else None
        where = f"{place.name} in {place.filename}" if place else "a module of yours"
        note(f"error: {where} raised {what}")
    elif isinstance(error, MemoryError) or ("memory" in str(error) and "alloc" in str(error)):
        note(
            f"error: there is not enough memory ({what}): choose fewer layers with --layers, or "
            "fewer units of each with --spatial mean, or a machine with more."
        )
        return 2
    else:
        note(
            f"error: {what}. This is a fault of convergent, not of yours: please report it, with "
            f"{_kept(error)}."
        )
    return 1


def _of_user(error: BaseException) -> traceback.TracebackException | None:
    """The part of a traceback that begins in the user's own code, if any is in it."""
    step = error.__traceback__
    while step is not None and not _is_of_user(step):
        step = step.tb_next
    broken = isinstance(error, SyntaxError) and _is_own_file(error.filename or "<>")
    if step is None and not broken:
        return None
    return traceback.TracebackException(type(error), error, step)


def _is_of_user(step: TracebackType) -> bool:
    return _is_own_file(step.tb_frame.f_code.co_filename)


def _is_own_file(name: str) -> bool:
    """Whether a file of code is neither this package's nor an installed one."""
    path = Path(name)  # relative where compiled code names its source
    return path.is_absolute() and _PACKAGE not in path.parents and not installed("", name)


def _kept(error: Exception) -> str:
    """Where the traceback of an error is written."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="convergent-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"{sys.argv}\n{text}")
    except OSError:
        return shortened(text, 10 * _MOST)
    return f"the file {file.name}"


def _show_warning(
    options: Mapping[str, str], message: Warning | str, *_where: object, **_more: object
) -> None:
    note(f"warning: {spoken(str(message), options)}")
