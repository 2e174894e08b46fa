"""Bad arguments for all public functions, and what becomes of each call.

    python tests/faults/arguments.py [--examples 1000] [--each]

Hypothesis draws a public function, a valid call of it, and one or two bad arguments: of the wrong
type, NaN, negative, huge, empty, names that occur twice, objects of other kinds. With ``--each``
every argument gets every bad value, once.
"""

from __future__ import annotations

import argparse
import datetime
import linecache
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot

sys.path.append(str(Path(__file__).parents[1]))  # cases.py

from calls import NAMES, Call, Calls
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import convergent as cv

__all__ = ["BAD", "OUTCOMES", "Outcome", "Trial", "attempt", "each", "run_arguments"]

OUTCOMES = ("returned", "refused", "silently wrong", "raw", "hung", "changed its input")
HOME = str(Path(cv.__file__).parent)
SECONDS = 30  # after which a call hangs
TOO_LONG = {"findings", "plot.findings"}  # with valid arguments


def _named(names: list[str], units: int = 3, size: float = 1.0) -> cv.Assembly:
    values = size * np.random.default_rng(5).standard_normal((len(names), units))
    return cv.Assembly.from_array(values, stimuli=names)


def _with_nan() -> cv.Assembly:
    one = _named(NAMES)
    values = one.data.values.copy()
    values[0, 0] = np.nan
    return cv.Assembly(one.data.copy(data=values))


def _in_time() -> cv.Assembly:
    dims = ("stimulus", "unit", "time")
    return cv.Assembly.from_array(np.ones((len(NAMES), 3, 2)), stimuli=NAMES, dims=dims)


def _itself() -> list[Any]:
    several: list[Any] = []
    several.append(several)
    return several


# each makes a value of its own, as some are used up
BAD: dict[str, Callable[[], Any]] = {
    **{
        repr(value): (lambda value=value: value)
        for value in (
            *(None, True, False, 0, 1, 2, -1, 95, 2**32, 2**62, 10**30, -(2**40)),
            *(0.0, 0.5, 1.0, -0.5, 1.5, 1e-320, 1e30, 1e308, float("nan"), float("inf")),
            *(float("-inf"), 1j, "", " ", "nan", "no such", "~nobody-at-all/x", "a\0b", "\ud800"),
            *("/dev/null/x", "[/b]", "$\\frac{$", "-1", "0.5", "a" * 300, b"", b"name"),
            *((), [], {}, (None,), ["a", "a"], ["a", "b"], ["a", None], ["a", float("nan")]),
            *(["a", b"b"], [1, 2], [[1], [2, 3]], ("a", "b", "c"), [float("nan")] * 3, {"a"}),
            *(frozenset(), {1: 2}, {"a": 1}, {None: None}, {0: 1, "0": 2}, range(3), slice(2)),
            *(Path("no/such"), Path(), datetime.date(2020, 1, 1), ..., NotImplemented, int, object),
            *(cv.Folds, cv.Folds(2), cv.Linear(), cv.Linear, cv.Bootstrap(2), cv.Shuffle(1)),
            *(cv.Protocol(), cv.Compute(), np.int64(3), np.float32(0.5), np.bool_(True)),
            *(np.str_("x"), np.datetime64("2020"), ValueError("x"), len, cv, [0.5, 0.5], (1e9, 2)),
            *(("no such", "no such"), [("a", "b")], {"a": {"b": 1}}, {"x": None}, (0.5, 2.0)),
        )
    },
    "object()": object,
    "a generator": lambda: (name for name in ("a", "b")),
    "an iterator": lambda: iter([1, 2]),
    "a function": lambda: lambda x: x,
    "a function that fails": lambda: lambda *_: 1 / 0,
    "a list of itself": _itself,
    "keys()": lambda: {"a": 1}.keys(),
    "empty array": lambda: np.array([]),
    "array of no dims": lambda: np.array(3.0),
    "array (2, 2)": lambda: np.zeros((2, 2)),
    "array (18, 3)": lambda: np.random.default_rng(0).standard_normal((18, 3)),
    "array (18, 3) of 1e200": lambda: 1e200 * np.random.default_rng(0).standard_normal((18, 3)),
    "array (18, 3) of 1e-200": lambda: 1e-200 * np.random.default_rng(0).standard_normal((18, 3)),
    "array (18, 3) of NaN": lambda: np.full((18, 3), np.nan),
    "array (18, 3) of ints": lambda: np.arange(54).reshape(18, 3),
    "array (18, 3) of bools": lambda: np.arange(54).reshape(18, 3) > 9,
    "array (18, 3) of objects": lambda: np.full((18, 3), None),
    "array (18, 3) complex": lambda: np.ones((18, 3), complex),
    "array (3, 18)": lambda: np.ones((3, 18)),
    "array (0, 3)": lambda: np.ones((0, 3)),
    "array of strings": lambda: np.array(["a", "b"]),
    "array of dates": lambda: np.array(["2020"], "M8[D]"),
    "masked array": lambda: np.ma.masked_less(np.arange(54.0).reshape(18, 3), 9),
    "Series": lambda: pd.Series(["a", "b"]),
    "Series of 18": lambda: pd.Series(np.arange(18.0), NAMES),
    "Index": lambda: pd.Index(["a", "a"]),
    "DataFrame": pd.DataFrame,
    "Dataset": xr.Dataset,
    "DataArray": lambda: xr.DataArray(0.0),
    "DataArray without names": lambda: xr.DataArray(np.ones((2, 2)), dims=("stimulus", "unit")),
    "DataArray reversed": lambda: _named(NAMES).data.T,
    "assembly": lambda: _named(NAMES),
    "assembly of other stimuli": lambda: _named(["x", "y", "z"]),
    "assembly of one stimulus": lambda: _named(NAMES[:1]),
    "assembly of one unit": lambda: _named(NAMES, 1),
    "assembly of 5 stimuli": lambda: _named(NAMES[:5]),
    "assembly of 1e130": lambda: _named(NAMES, size=1e130),
    "assembly of 1e-130": lambda: _named(NAMES, size=1e-130),
    "assembly of zeros": lambda: _named(NAMES, size=0.0),
    "assembly with NaN": _with_nan,
    "assembly with time": _in_time,
    "dict of assembly": lambda: {"a": _named(NAMES)},
    "dict by number": lambda: {0: _named(NAMES), 1: _named(NAMES, 2)},
    "dict by number and text": lambda: {0: _named(NAMES), "0": _named(NAMES, 2)},
    "dict by None": lambda: {None: _named(NAMES)},
    "dict by tuple": lambda: {("a", 1): _named(NAMES)},
    "dict by bytes": lambda: {b"a": _named(NAMES)},
    "dict by ''": lambda: {"": _named(NAMES), "b": _named(NAMES, 2)},
    "nested dict": lambda: {"a": {"b": _named(NAMES)}},
    "list of assemblies": lambda: [_named(NAMES), _named(NAMES, 2)],
    "stimuli": lambda: cv.Stimuli.from_arrays([np.zeros((8, 8))] * 2, ["a", "b"]),
    "population": lambda: cv.Population(np.random.default_rng(0).standard_normal((18, 3))),
    "names twice": lambda: NAMES[:17] + NAMES[:1],
    "names in a set": lambda: set(NAMES),
    "names with None": lambda: [*NAMES[:17], None],
    "names with NaN": lambda: [*NAMES[:17], float("nan")],
    "names as bytes": lambda: [name.encode() for name in NAMES],
    "names with numbers": lambda: [*NAMES[:17], 17],
    "names, one empty": lambda: [*NAMES[:17], ""],
    "names in a Series": lambda: pd.Series(NAMES),
    "names in an iterator": lambda: iter(NAMES),
    "names in a dict": lambda: dict.fromkeys(NAMES),
    "numbers in a set": lambda: set(range(18)),
    "18 numbers": lambda: list(range(18)),
    "weights below 0": lambda: -np.ones((2, 18)),
    "weights of NaN": lambda: np.full((2, 18), np.nan),
}


@dataclass(frozen=True)
class Trial:
    """A call with bad arguments.

    Attributes
    ----------
    name : str
        Of the function.
    bad : dict of str
        Name of the bad value, by argument; '' is an argument that does not exist.
    """

    name: str
    bad: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a call: one of OUTCOMES, and the error."""

    kind: str
    text: str = ""


class _Hung(BaseException):
    pass


@contextmanager
def _limited() -> Iterator[None]:
    """Stop a call that takes too long, where the system can."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: Any) -> None:
        raise _Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _state(value: Any) -> Any:
    """What a call must not change."""
    if isinstance(value, cv.Assembly):
        return value.fingerprint(), sorted(map(str, value.data.coords)), str(value.data.attrs)
    if isinstance(value, Mapping):
        return [(key, _state(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [id(each) if each is value else _state(each) for each in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes() if value.dtype.kind != "O" else None
    if isinstance(value, xr.Dataset | xr.DataArray | pd.DataFrame | pd.Series):
        return str(value)
    return None


def _is_own(error: BaseException) -> bool:
    """Whether a check of the package raised an error, or Python for an unknown keyword."""
    if isinstance(error, cv.InputError):
        return True
    if not isinstance(error, TypeError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    ours = last.filename.startswith(HOME) and line.startswith("raise ")
    return ours or (last.filename == __file__ and "argument" in str(error))


def _of_user(call: Call, made: Mapping[str, Any]) -> bool:
    """Whether functions of the user run, whose errors are theirs."""
    return any(
        callable(made[a]) for a, kind in call.kinds.items() if a in made if kind == "function"
    )


def attempt(call: Call, trial: Trial) -> Outcome:
    """Make a call with bad arguments.

    Parameters
    ----------
    call : Call
        The valid call.
    trial : Trial
        Its bad arguments.

    Returns
    -------
    Outcome
        What became of it.
    """
    made = {argument: BAD[label]() for argument, label in trial.bad.items()}
    arguments = {**call.arguments, **{a or "no_such": v for a, v in made.items()}}
    before = _state({k: v for k, v in arguments.items() if not hasattr(v, "__next__")})
    valid = all(a and call.valid(a, BAD[label]()) for a, label in trial.bad.items())
    quiet = StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(quiet), redirect_stderr(quiet), _limited():
            warnings.simplefilter("ignore")
            call.function(**arguments)
    except _Hung:
        return Outcome("hung", _where(sys.exc_info()[1]))
    except Exception as error:
        text = f"{type(error).__name__}: {str(error)[:300]}"
        if not _is_own(error) and not _of_user(call, made):
            return Outcome("raw", f"{text} {_where(error)}")
        kind, said = "refused", text
    else:
        kind, said = ("returned", "") if valid else ("silently wrong", "a result")
    finally:
        pyplot.close("all")
    after = _state({k: v for k, v in arguments.items() if not hasattr(v, "__next__")})
    return Outcome("changed its input", said) if str(after) != str(before) else Outcome(kind, said)


def _where(error: BaseException | None) -> str:
    """The last lines of the package that a call went through."""
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if f.filename.startswith(HOME)]
    return f"[{' '.join(ours[-3:])}]"


def each(calls: Mapping[str, Call]) -> Iterator[Trial]:
    """Every argument of every function with every bad value, and one that does not exist."""
    for name, call in calls.items():
        if not name.endswith(("from_array", "where")):
            yield Trial(name, {"": "None"})
        for argument in call.arguments:
            for label in BAD:
                trial = Trial(name, {argument: label})
                if name not in TOO_LONG or not _may_work(call, trial):
                    yield trial


def _may_work(call: Call, trial: Trial) -> bool:
    return all(call.valid(a, BAD[label]()) for a, label in trial.bad.items() if a)


def _trials(calls: Mapping[str, Call]) -> st.SearchStrategy[Trial]:
    names = [name for name, call in calls.items() if call.arguments and name not in TOO_LONG]

    def of(name: str) -> st.SearchStrategy[Trial]:
        arguments = st.sampled_from(sorted(calls[name].arguments))
        bad = st.dictionaries(arguments, st.sampled_from(list(BAD)), min_size=1, max_size=2)
        return bad.map(lambda chosen: Trial(name, chosen))

    return st.sampled_from(names).flatmap(of)


def run_arguments(
    examples: int = 1000,
    every: bool = False,
    seen: Callable[[Trial, Outcome], object] = lambda *_: None,
    calls: Mapping[str, Call] | None = None,
) -> dict[str, int]:
    """Give bad arguments to public functions.

    Parameters
    ----------
    examples : int
        Number of calls.
    every : bool
        Whether every argument gets every bad value instead.
    seen : function
        Takes each trial and its outcome.
    calls : dict of Call, optional
        Valid calls, if they are made already.

    Returns
    -------
    dict of int
        Number of calls by outcome, and in all (``tried``).
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = Calls(Path(folder)).all if calls is None else calls

        def one(trial: Trial) -> None:
            outcome = attempt(known[trial.name], trial)
            counts[outcome.kind] += 1
            counts["tried"] += 1
            seen(trial, outcome)

        if every:
            for trial in each(known):
                one(trial)
        else:
            drawn = settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )(given(_trials(known))(one))
            drawn()
    return {name: counts[name] for name in ("tried", *OUTCOMES)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--each", action="store_true")
    given = parser.parse_args()

    def seen(trial: Trial, outcome: Outcome) -> None:
        if outcome.kind not in ("returned", "refused"):
            print(f"{outcome.kind:15}  {trial.name}  {dict(trial.bad)}  {outcome.text}", flush=True)

    counts = run_arguments(given.examples, given.each, seen)
    print("  ".join(f"{name} {count}" for name, count in counts.items()))
    sys.exit(1 if counts["silently wrong"] or 100 * counts["raw"] > counts["tried"] else 0)


if __name__ == "__main__":
    main()
