"""The public surface: names, docstrings, and modules that import only what stands above."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from numpydoc.validate import validate

import convergent as cv

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(cv.__path__, "convergent.")
    if not module.name.endswith("__main__") and ".datasets" not in module.name
)
PUBLIC = sorted(
    {
        f"{value.__module__}.{value.__qualname__}"
        for value in (getattr(cv, name) for name in cv.__all__)
        if inspect.isfunction(value) or inspect.isclass(value)
    }
    | {
        f"convergent.formats.{module}.{name}"
        for module, names in {"arrays": ["from_npy"], "nifti": ["from_nifti", "to_nifti"]}.items()
        for name in names
    }
    | {f"convergent.simulate.{name}" for name in cv.simulate.__all__}
    | {
        f"{getattr(module, name).__module__}.{name}"
        for module in (cv.features, cv.references, cv.distances)
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
# house order: a module may import only from those before it
ORDER = (
    *(
        "errors",
        "devices",
        "progress",
        "kept_memory",
        "source_code",
        "storage",
        "assembly",
        "positions",
        "layer_store",
        "stimuli",
        "distortions",
        "catalog",
        "formats",
        "simulate",
        "checkpoints",
        "drawings",
        "accuracy",
        "batch_statistics",
        "small_networks",
    ),
    *(
        "networks",
        "training",
        "extraction",
        "population",
        "metrics",
        "folds",
        "provenance",
        "intake",
        "reliability",
    ),
    *("signal_noise", "resampling", "cell", "study", "sweep", "forecast"),
    *("ceiling", "targets", "results", "crossval"),
    *("inference", "tables", "controls", "privileged_axis"),
    *("references", "distances", "comparison"),
    *("experiments", "findings", "features"),
    *("plot", "report", "features_page", "console", "cli"),
)


@pytest.mark.parametrize("name", ["convergent", *MODULES])
def test_all_names_exist(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        assert hasattr(module, public)


@pytest.mark.parametrize("name", PUBLIC + METHODS)
def test_docstrings_tell_parameters_returns_and_summary(name):
    wanted = ("GL08", "SS01", "SS03", "PR01", "PR02", "PR04", "PR07", "RT03")
    assert not [error for error in validate(name)["errors"] if error[0] in wanted]


def test_imports_point_upwards():
    source = Path(cv.__file__).parent
    for file in source.rglob("*.py"):
        room = file.relative_to(source).parts[0].removesuffix(".py")
        if room not in ORDER:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        depth = len(file.relative_to(source).parts)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == depth:
                rooms = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
                for imported in rooms:
                    assert ORDER.index(imported) < ORDER.index(room), (room, imported)
