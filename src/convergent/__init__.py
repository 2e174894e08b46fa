"""Compare networks with brains, and networks with networks.

>>> import convergent as cv
>>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
>>> layers = cv.extract(cv.network("efficientnet-lite0"), stimuli)  # doctest: +SKIP
>>> cv.summary(cv.score(layers, recording))  # doctest: +SKIP
"""

import sys

# With -m, Python searches the working folder first, for every package that is imported from here
# on. That folder may hold files of anybody, so it is left out.
if (
    sys.argv[:1] == ["-m"]
    and not sys.flags.safe_path
    and sys.orig_argv[-len(sys.argv)] in {"convergent", "-mconvergent"}
):
    del sys.path[0]

import ast
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def _homes(stub: Path) -> dict[str, tuple[str, str]]:
    """Module and name of each public name, as the stub imports it."""
    return {
        alias.asname or alias.name: ("." * node.level + (node.module or ""), alias.name)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


_HOMES = _homes(Path(__file__).with_suffix(".pyi"))
__version__ = version("convergent")
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        # with name and obj, Python suggests names that are close
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    module, inner = _HOMES[name]
    home = import_module(module if module != "." else f".{inner}", __name__)
    value = home if module == "." else getattr(home, inner, None)
    if value is None:  # a module that is itself public
        value = import_module(f"{module}.{inner}", __name__)
    globals()[name] = value  # later uses do not come here
    return value


def __dir__() -> list[str]:
    """List the public names, whether they were used or not."""
    return [*__all__, "__version__"]
