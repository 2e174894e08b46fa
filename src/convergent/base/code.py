"""Code: which packages are installed, and what the code of a function refers to by name."""

from __future__ import annotations

import dis
import importlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from os.path import realpath, sep
from types import CodeType, ModuleType
from typing import Any

__all__ = ["IGNORED_OF_CLASSES", "CodeNames", "installed", "names_in", "version_of"]

# attributes of classes that say where they come from, or are caches
IGNORED_OF_CLASSES = frozenset(
    {
        "__abstractmethods__",
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__match_args__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__slots__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)
_PACKAGE = __package__.partition(".")[0]  # this package: its version, or its source, is in all keys
_LIBRARIES = tuple(
    {
        realpath(folder) + sep
        for folder in (
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            *site.getsitepackages(),
            site.getusersitepackages(),
        )
        if folder
    }
)
_FOLDERS = (f"{sep}site-packages{sep}", f"{sep}dist-packages{sep}")  # of any other environment


def installed(module: str, file: str = "") -> bool:
    """Whether a module is part of Python or of an installed package, whose version is known.

    Parameters
    ----------
    module : str
        Its name.
    file : str
        File of the code, if it is known; otherwise that of the module.

    Returns
    -------
    bool
        False for a module of the user's own, and for one typed at a prompt.
    """
    top = module.partition(".")[0]
    if top == "__main__":  # a script, a prompt, or a notebook, though an installed kernel runs it
        return False
    if top == _PACKAGE or top.startswith("_cython_"):  # types that all modules of Cython share
        return True
    if not file or file.startswith("<"):
        known = sys.modules.get(module) or sys.modules.get(top)
        paths = getattr(known, "__path__", None)  # of a package without __init__.py
        file = getattr(known, "__file__", None) or (next(iter(paths), "") if paths else "")
    if not file:
        return top in sys.builtin_module_names or top in sys.stdlib_module_names
    return _among_libraries(file)


def _among_libraries(file: str) -> bool:
    return any(part in file for part in _FOLDERS) or (realpath(file)).startswith(_LIBRARIES)


def version_of(module: str) -> str:
    """Version of the package of a module; of Python for its own; '' if it has none."""
    top = module.partition(".")[0]
    found = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(found, str):
        return found
    if top in sys.stdlib_module_names:
        return sys.version.split()[0]
    try:
        return version(top)
    except (PackageNotFoundError, ValueError):
        return ""


@dataclass(frozen=True)
class CodeNames:
    """What code refers to by name.

    Attributes
    ----------
    values : dict
        Global values, by name.
    imported : dict of module
        Modules that the code itself imports.
    attributes : set of str
        Names that may be parts of these modules.
    """

    values: Mapping[str, Any]
    imported: Mapping[str, ModuleType]
    attributes: frozenset[str]


def names_in(code: CodeType, namespace: Mapping[str, Any]) -> CodeNames:
    """Find what a function refers to by name.

    Parameters
    ----------
    code : code
        Of the function; functions inside it are included.
    namespace : mapping
        Its global names.

    Returns
    -------
    CodeNames
        Names that do not exist are left out.
    """
    wanted: set[str] = set()
    modules: dict[str, ModuleType] = {}
    attributes: set[str] = set()
    for part in _with_inner(code):
        attributes.update(part.co_names)
        attributes.update(each for each in part.co_consts if isinstance(each, str))
        before: list[Any] = [None, None]
        for step in dis.get_instructions(part):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                wanted.add(step.argval)
            elif step.opname == "IMPORT_NAME":
                level = before[0] if isinstance(before[0], int) else 0
                modules |= _imported(step.argval, level, namespace)
            if step.opname not in ("CACHE", "EXTENDED_ARG"):
                before = [before[1], step.argval]
    values = {name: namespace[name] for name in wanted if name in namespace}
    return CodeNames(values, modules, frozenset(attributes))


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _with_inner(each)


def _imported(name: str, level: int, namespace: Mapping[str, Any]) -> dict[str, ModuleType]:
    """Module that code imports when it runs; one of the user's own is imported now."""
    try:
        package = namespace.get("__package__") or namespace["__name__"].rpartition(".")[0]
        full = importlib.util.resolve_name("." * level + name, package)
        top = full.partition(".")[0]
        if full not in sys.modules and not installed(top):
            spec = importlib.util.find_spec(top)
            if spec is None or (spec.origin and _among_libraries(spec.origin)):
                return {}
            if spec.origin in ("built-in", "frozen"):
                return {}
        if full not in sys.modules and installed(top):
            return {}
        importlib.import_module(full)
        parts = full.split(".")
        found = {".".join(parts[: i + 1]) for i in range(len(parts))}
        return {each: sys.modules[each] for each in found}
    except Exception:  # the user's code reports it if it does run there
        return {}
