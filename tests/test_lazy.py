"""The package is imported at once; what a public name needs is imported when it is used."""

import ast
import inspect
import pickle
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import convergent as cv

SOURCE = Path(cv.__file__)


HOMES = {
    alias.asname or alias.name: (node.module or "", alias.name)
    for node in ast.parse(SOURCE.with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def home_of(name):
    module, inner = HOMES[name]
    return import_module(f"convergent.{module}".rstrip(".")), inner


def test_all_is_the_list_of_the_stub():
    assert set(cv.__all__) == set(HOMES)
    assert len(cv.__all__) == len(set(cv.__all__))


@pytest.mark.parametrize("name", cv.__all__)
def test_every_name_is_what_its_home_holds(name):
    home, inner = home_of(name)
    assert getattr(cv, name) is getattr(home, inner)


def test_names_are_imported_from_the_package():
    found = {}
    exec("from convergent import *", found)
    assert set(cv.__all__) <= set(found)
    exec("from convergent import distances, features, formats, open, plot, references", found)
    assert found["open"] is import_module("convergent.data.assembly").open


def test_names_are_listed_before_they_are_used():
    assert set(dir(cv)) == {*cv.__all__, "__version__"}


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'convergent' has no attribute 'scor'"):
        cv.scor  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'scor'"):
        exec("from convergent import scor")


def test_version():
    assert cv.__version__ == version("convergent")


@pytest.mark.parametrize("name", [n for n in cv.__all__ if inspect.isclass(getattr(cv, n))])
def test_public_classes_are_pickled_by_their_home(name):
    kind = getattr(cv, name)
    assert kind.__module__ == f"convergent.{HOMES[name][0]}"
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_values_are_pickled():
    for value in (cv.Folds(3), cv.Bootstrap(10), cv.Linear(), cv.Compute("cpu")):
        assert pickle.loads(pickle.dumps(value)) == value


def test_import_of_the_package_imports_no_library():
    code = "import sys, convergent; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "convergent" in loaded
    assert not loaded & {"numpy", "pandas", "scipy", "torch", "typer", "xarray"}
