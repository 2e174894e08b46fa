"""The house: rooms and their rules, public names and their docstrings."""

import ast
import importlib
import inspect
import pkgutil
import statistics
from functools import cache
from pathlib import Path

import pytest
from numpydoc.validate import validate

import convergent as cv

SOURCE = Path(cv.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(cv.__path__, "convergent.")
    if not module.name.endswith("__main__") and ".datasets" not in module.name
)
PACKAGES = [
    name for name in ["convergent", *MODULES] if (SOURCE.parent / name.replace(".", "/")).is_dir()
]
EXPORTING = ("convergent", "convergent.data.formats", "convergent.features", "convergent.plot")
PUBLIC = sorted(
    {
        f"{value.__module__}.{value.__qualname__}"
        for value in (getattr(cv, name) for name in cv.__all__)
        if inspect.isfunction(value) or inspect.isclass(value)
    }
    | {
        f"{getattr(module, name).__module__}.{name}"
        for module in (cv.features, cv.formats, cv.references, cv.distances, cv.simulate)
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    }
)
METHODS = sorted(
    f"{kind.__module__}.{kind.__qualname__}.{name}"
    for kind in (cv.Assembly, cv.Stimuli, cv.Folds)
    for name, method in vars(kind).items()
    if not name.startswith("_") and (inspect.isfunction(method) or isinstance(method, classmethod))
)


def file_of(module):
    place = SOURCE.parent / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@cache
def tree_of(module):
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def defined(module):
    """Names that a module defines, without an underscore."""
    names = set()
    for node in tree_of(module).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                part.id for one in targets for part in ast.walk(one) if isinstance(part, ast.Name)
            }
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", [name for name in MODULES if name not in PACKAGES])
def test_all_is_what_a_module_defines(name):
    again = {"convergent.simulate": {"natural_images"}}.get(name, set())  # public, made in images
    assert set(importlib.import_module(name).__all__) == defined(name) | again


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_export_names_that_exist_and_hide_no_module(name):
    package = importlib.import_module(name)
    exported = getattr(package, "__all__", [])
    assert bool(exported) == (name in EXPORTING or name == "convergent.cli")
    for public in exported:
        value = getattr(package, public)
        hidden = f"{name}.{public}" in MODULES and not inspect.ismodule(value)
        assert not hidden, f"{name}.{public} is a module, and what the package exports hides it"


@pytest.mark.parametrize("name", PUBLIC + METHODS)
def test_docstrings_tell_parameters_returns_and_summary(name):
    wanted = ("GL08", "SS01", "SS03", "PR01", "PR02", "PR04", "PR07", "RT03")
    assert not [error for error in validate(name)["errors"] if error[0] in wanted]


def imported(module):
    """Modules of the package that a module imports at its top."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    found = set()
    for node in tree_of(module).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            origin = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{origin}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= inner or {origin}
    return found - {module}


def test_chains_of_imports_are_short_and_have_no_circle():
    lengths, path = {}, []

    def length(module):
        if module not in lengths:
            assert module not in path, f"a circle: {[*path, module]}"
            path.append(module)
            lengths[module] = 1 + max(map(length, imported(module)), default=0)
            path.pop()
        return lengths[module]

    assert max(map(length, MODULES)) <= 18


def test_the_top_of_the_package_is_small():
    modules = [path for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()]
    assert len([path for path in modules if path.name != "__pycache__"]) <= 16


def functions():
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef):
                yield module, node


def test_functions_fit_on_a_screen():
    lengths = {}
    for module, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lengths[module, node.name, node.lineno] = (
            body[-1].end_lineno - body[0].lineno + 1 if body else 0
        )
    assert max(lengths.values()) <= 60, max(lengths, key=lengths.get)
    assert statistics.quantiles(lengths.values(), n=20)[-1] <= 38


def test_functions_have_few_parameters():
    """Commands and what their signatures are read from apart."""
    many = {
        f"{module}.{node.name}": len(parameters)
        for module, node in functions()
        if not module.startswith("convergent.cli")
        for parameters in [[*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
        if len([a for a in parameters if a.arg not in ("self", "cls")]) > 8
    }
    assert set(many) <= {
        "convergent.scoring.score.score",
        "convergent.networks.training.train",
        "convergent.plot._best_stimuli.best_stimuli",
    }
