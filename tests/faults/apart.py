"""Functions that run in processes of their own, which may be killed, crash or hang.

Processes are forked: importing torch takes seconds, and there are hundreds of them. So the process
that calls `apart` imports everything (`warm`), and runs nothing itself: threads do not survive a
fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convergent.base.errors import InputError

SECONDS = 20.0  # after these, a process hangs


@dataclass(frozen=True)
class Ended:
    """How a function ended that ran apart.

    Attributes
    ----------
    signal : int
        That ended the process; 0 if none did.
    hung : bool
        Whether the process did not end in time, and was killed.
    code : int or None
        The exit code, where it left with SystemExit, as commands do.
    value : object
        What it returned.
    error : str
        The class of its exception, and the message; '' if there was none.
    refused : bool
        Whether that exception is one that names cause and remedy.
    warned : tuple of str
        Messages of warnings.
    out, err : str
        What it printed.
    """

    signal: int = 0
    hung: bool = False
    code: int | None = None
    value: Any = None
    error: str = ""
    refused: bool = False
    warned: tuple[str, ...] = ()
    out: str = field(default="", repr=False)
    err: str = ""

    @property
    def well(self) -> bool:
        """Whether it returned, or left with exit code 0."""
        return not (self.signal or self.hung or self.error or self.code)

    @property
    def said(self) -> str:
        """The message of its error, or the last line that a command wrote on stderr."""
        lines = self.err.strip().splitlines()
        return self.error or (lines[-1] if lines else "")

    @property
    def told(self) -> bool:
        """Whether it ended with an error in plain words, as of the library or of a command."""
        if self.signal or self.hung:
            return False
        of_command = self.code == 2 and "error: " in self.err and "Traceback" not in self.err
        return self.refused or of_command


def apart(function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS) -> Ended:
    """Run a function in a process of its own."""
    return at_once([(function, *arguments)], seconds)[0]


def at_once(calls: Sequence[tuple[Any, ...]], seconds: float = SECONDS) -> list[Ended]:
    """Run several functions, each in a process of its own, all from the same moment on."""
    with tempfile.TemporaryDirectory(prefix="apart-") as folder:
        wait, go = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        running: dict[int, Path] = {}
        for number, call in enumerate(calls):
            place = Path(folder) / str(number)
            place.mkdir()
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(wait, 1)  # until all are there
                _run(place, *call)
            running[pid] = place
        os.close(wait)
        os.close(go)
        ends = _ends(list(running), time.monotonic() + seconds)
        return [_ended(place, *ends[pid]) for pid, place in running.items()]


def _run(place: Path, function: Callable[..., Any], *arguments: Any) -> None:
    """Run a function in a process that was just forked; never return."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    out, err = place / "out", place / "err"
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY), number)
    sys.stdout, sys.stderr = out.open("w"), err.open("w")
    found: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found["value"] = function(*arguments)
        except SystemExit as stop:
            found["code"] = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        except BaseException as error:
            found["error"] = f"{type(error).__name__}: {error}"
            found["refused"] = isinstance(error, InputError)
            with contextlib.suppress(Exception):
                (place / "trace").write_text(traceback.format_exc(), errors="replace")
    found["warned"] = tuple(str(one.message) for one in warned)
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(BaseException):
        (place / "found").write_bytes(pickle.dumps(found))
    os._exit(0)


def _ends(pids: list[int], until: float) -> dict[int, tuple[int, bool]]:
    """Signal that ended each process, and whether it hung."""
    ends: dict[int, tuple[int, bool]] = {}
    while len(ends) < len(pids):
        for pid in pids:
            if pid in ends:
                continue
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                ends[pid] = (0, True)
            elif done:
                ends[pid] = (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, False)
        time.sleep(0.002)
    return ends


def _ended(place: Path, by: int, hung: bool) -> Ended:
    texts = {
        name: (place / name).read_text(errors="replace")
        for name in ("out", "err")
        if (place / name).exists()
    }
    found = place / "found"
    content = pickle.loads(found.read_bytes()) if found.exists() else {}
    return Ended(signal=by, hung=hung, **content, **texts)


def warm(functions: Sequence[Callable[[Path], Any]]) -> None:
    """Import here what some functions import when they run."""
    for function in functions:
        with folder() as place:
            for name in apart(_modules_of, function, place, seconds=120).value or ():
                if name not in sys.modules:
                    with contextlib.suppress(Exception):
                        importlib.import_module(name)
    gc.freeze()  # or each fork would copy all memory when it collects garbage


def _modules_of(function: Callable[[Path], Any], place: Path) -> list[str]:
    inside = place / "work"
    inside.mkdir()
    function(inside)
    return sorted(name for name in sys.modules if name != "__main__")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for the length of a with."""
    path = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
