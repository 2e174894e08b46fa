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


def imports_for_types():
    """What the block `if TYPE_CHECKING` imports: name, and its home as the table writes it."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    for node in block.body:
        for alias in node.names:
            inner = SOURCE.parent.joinpath(*(node.module or "").split("."), alias.name)
            if inner.is_dir() or inner.with_suffix(".py").exists():
                home = f"{node.module}.{alias.name}" if node.module else alias.name
            else:
                home = f"{node.module}:{alias.name}"
            yield alias.asname or alias.name, home


def test_types_table_and_all_agree():
    assert dict(imports_for_types()) == cv._HOMES
    assert set(cv.__all__) == set(cv._HOMES)
    assert len(cv.__all__) == len(set(cv.__all__))


@pytest.mark.parametrize("name", cv.__all__)
def test_every_name_is_what_its_home_holds(name):
    module, _, inner = cv._HOMES[name].partition(":")
    home = import_module(f"convergent.{module}")
    assert getattr(cv, name) is (getattr(home, inner) if inner else home)


def test_names_are_imported_from_the_package():
    found = {}
    exec("from convergent import *", found)
    assert set(cv.__all__) <= set(found)
    exec("from convergent import distances, features, formats, open, plot, references", found)
    assert found["open"] is import_module("convergent.data.assembly").open_assembly


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
    assert kind.__module__ == f"convergent.{cv._HOMES[name].partition(':')[0]}"
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
