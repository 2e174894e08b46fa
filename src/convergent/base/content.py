"""Content hashes: SHA-256 of what objects hold and do, wherever they lie in memory.

Objects are walked down to plain values, arrays and code. Two objects of equal content have equal
hashes, in any process; where anything differs that can decide a result, the hashes differ. Of code
that is the bytecode with its constants, defaults and closure, and all functions and values of the
user's own modules to which it refers by name: what runs, not what a file says. File names, line
numbers and comments do not count. Bytecode differs between versions of Python, and so do hashes.
Of installed packages, their version and the bytecode of the classes and functions in question
count, and not what these call in turn.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import numpy as np

from .code import IGNORED_OF_CLASSES, CodeNames, installed, names_in, version_of
from .errors import InputError

__all__ = ["ContentHash", "UnknownContentError", "content_sha256"]


class UnknownContentError(InputError):
    """An object whose content cannot be known, such as an open file."""


def content_sha256(value: object, name: str, known: Mapping[int, str] | None = None) -> str:
    """SHA-256 of what an object holds and does.

    Parameters
    ----------
    value : object
        Anything: values, containers, arrays, tensors, functions, classes, their instances, torch
        modules.
    name : str
        What the object is called in messages.
    known : mapping of int to str, optional
        Names of objects, by ``id``, that are hashed elsewhere: their names alone enter.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    UnknownContentError
        If the content of something in it cannot be known.
    """
    content = ContentHash(known or {}, name)
    try:
        content.add(value)
    except RecursionError:
        raise UnknownContentError(f"{name} is nested too deeply to be known. {_REMEDY}") from None
    return content.hexdigest()


_REMEDY = (
    "Use numbers, strings, arrays, tensors, functions, or containers and objects of these; open "
    "files and connections, and make generators, where they are used."
)
_PLAIN = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    type(...),
    type(NotImplemented),
)
_LOCKS = ("_thread.lock", "_thread.RLock")  # they hold nothing that decides a result
_CALLED_BY_NAME = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
)
_OBJECT: Any = object
_NEW = object.__reduce_ex__(object(), 4)[0]  # what makes an object without calling __init__


class ContentHash:
    """A hash to which objects are added, each once; further places of it are noted as such.

    Parameters
    ----------
    known : mapping of int to str
        Names of objects, by ``id``, of which the name alone enters.
    name : str
        What the object is called in messages.
    """

    def __init__(self, known: Mapping[int, str], name: str) -> None:
        self._digest = hashlib.sha256()
        self._known, self._path = known, [name]
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # so that no id is used twice
        self._handlers: dict[type, Callable[[Any, Any], None]] = {}

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, tag: str, content: Any = b"") -> None:
        """Add bytes or a text, with its kind and length, so that nothing reads as another."""
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        size = content.nbytes if isinstance(content, memoryview) else len(content)
        header = f"{tag} {size}\n".encode()
        if size < 1024:  # most are short: one call for both
            self._digest.update(header + bytes(content))
        else:
            self._digest.update(header)
            self._digest.update(content)

    def add(self, value: Any, step: str = "") -> None:
        """Add an object; ``step`` leads to it from the object before, for messages."""
        kind = type(value)
        if kind in _PLAIN:
            self.write(kind.__name__, _text_of(value))
            return
        handler = self._handlers.get(kind)
        if handler is None:
            handler = self._handlers[kind] = _handler_of(kind)
        if step:
            self._path.append(step)
        handler(self, value)
        if step:
            self._path.pop()

    def again(self, value: object) -> bool:
        """Whether an object was met before (which is noted); from now on it was."""
        name = self._known.get(id(value))
        if name is not None:
            self.write("known", name)
            return True
        number = self._seen.get(id(value))
        if number is not None:
            self.write("again", str(number))
            return True
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        return False

    def items(self, items: Iterable[tuple[str, Any]], step: str = ".{}") -> None:
        """Add named values, in the order given."""
        for name, value in items:
            self.write("name", name)
            self.add(value, step.format(name))
        self.write("end")

    def unknown(self, value: object, why: str = "") -> UnknownContentError:
        """Error for an object whose content cannot be known; it names the place and the type."""
        kind = type(value)
        where = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        reason = f" ({why})" if why else ""
        return UnknownContentError(
            f"{''.join(self._path)} is a {where}, whose content cannot be known{reason}. {_REMEDY}"
        )

    def apart(self, value: object) -> str:
        """Hash of an element of a set, by which the elements are sorted."""
        other = ContentHash(self._known, "".join(self._path))
        other.add(value)
        return other.hexdigest()

    def name_of(self, value: Any) -> None:
        """Add what is known by its name alone: a part of Python or of an installed package."""
        owner = getattr(value, "__objclass__", None) or getattr(value, "__module__", None)
        module = _module_of(owner) if isinstance(owner, type) else owner
        if not isinstance(module, str) or not installed(module):
            raise self.unknown(value, "it is compiled code of no installed package")
        where = owner.__qualname__ if isinstance(owner, type) else ""
        name = getattr(value, "__qualname__", None) or value.__name__
        self.write("name of", f"{module} {version_of(module)} {where} {name}")


def _text_of(value: Any) -> Any:
    if isinstance(value, (str, bytes, bytearray)):
        return value
    return f"{value:x}" if type(value) is int else repr(value)  # digits of repr are limited


def _handler_of(kind: type) -> Callable[[ContentHash, Any], None]:
    """What adds objects of a kind; kinds of torch are known by name, as torch is imported late."""
    if any(_module_of(base).partition(".")[0] == "torch" for base in kind.__mro__):
        from .torch_content import TORCH_HANDLERS

        of_torch = TORCH_HANDLERS
    else:
        of_torch = {}
    for base in kind.__mro__:
        name = f"{_module_of(base)}.{base.__qualname__}"
        if name in of_torch:
            return of_torch[name]
        if base in _HANDLERS and (base is kind or base not in _EXACT):
            return _HANDLERS[base]
        if name in _LOCKS:
            return lambda content, _value: content.write("lock")
    return _instance


def _module_of(kind: type) -> str:
    """Name of the module of a class; that of classes of Cython need not be a text."""
    found: object = kind.__module__
    return found if isinstance(found, str) else "builtins"


def _sequence(content: ContentHash, value: Any) -> None:
    if isinstance(value, list) and content.again(value):
        return
    content.write(type(value).__name__, str(len(value)))
    for i, item in enumerate(value):
        content.add(item, f"[{i}]")


def _mapping(content: ContentHash, value: Any) -> None:
    if content.again(value):
        return
    content.write("dict", str(len(value)))
    for key, item in value.items():
        content.add(key, ".keys()")
        content.add(item, f"[{key!r}]" if type(key) in _PLAIN else "[...]")


def _set(content: ContentHash, value: Any) -> None:
    if content.again(value):
        return
    content.write("set", "".join(sorted(map(content.apart, value))))
    if type(value) not in (set, frozenset):
        content.add(type(value))
        content.items(sorted(vars(value).items()) if hasattr(value, "__dict__") else ())


def _array(content: ContentHash, value: Any) -> None:
    if content.again(value):
        return
    content.write("array", f"{value.dtype!r} {value.shape}")
    if value.dtype.hasobject:
        content.add(value.tolist(), ".tolist()")
    else:
        flat = np.ascontiguousarray(value.view(np.ndarray)).reshape(-1)
        content.write("values", flat.view(np.uint8).data if flat.size else b"")
    if type(value) not in (np.ndarray, np.memmap):
        content.add(type(value))
        content.items(sorted(getattr(value, "__dict__", {}).items()))


def _enum(content: ContentHash, value: Any) -> None:
    if not content.again(value):
        content.add(type(value))
        content.write("member", str(value.name))
        content.add(value.value, ".value")


def _ufunc(content: ContentHash, value: Any) -> None:
    homes = (np, sys.modules.get("scipy.special"))
    if not any(getattr(home, value.__name__, None) is value for home in homes):
        raise content.unknown(value, "it is no ufunc of numpy or scipy")
    content.write("ufunc", f"{value.__name__} {np.__version__}")


def _partial(content: ContentHash, value: Any) -> None:
    if not content.again(value):
        content.add(type(value))
        content.add(value.func, ".func")
        content.add(value.args, ".args")
        content.items(sorted(value.keywords.items()), ".keywords[{!r}]")
        content.items(sorted(vars(value).items()))


def _method(content: ContentHash, value: Any) -> None:
    content.write("method")
    content.add(value.__func__, ".__func__")
    content.add(value.__self__, ".__self__")


def _by_name(content: ContentHash, value: Any) -> None:
    owner = getattr(value, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return content.name_of(value)
    content.write("of", value.__name__)
    content.add(owner, ".__self__")
    return None


def _property(content: ContentHash, value: property) -> None:
    content.write("property")
    for name in ("fget", "fset", "fdel"):
        content.add(getattr(value, name), f".{name}")


def _slot(content: ContentHash, value: types.MemberDescriptorType) -> None:
    content.write("slot", value.__name__)


def _wrapped(content: ContentHash, value: Any) -> None:
    content.write(type(value).__name__)
    content.add(value.__wrapped__ if hasattr(value, "__wrapped__") else value.__func__)


def _cell(content: ContentHash, value: types.CellType) -> None:
    try:
        inside = value.cell_contents
    except ValueError:
        return content.write("empty cell")
    return content.add(inside)


def _reference(content: ContentHash, value: Any) -> None:
    content.write("weak reference")
    content.add(value(), "()")


def _code(content: ContentHash, value: types.CodeType) -> None:
    counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
    content.write("code", value.co_code)
    content.write("exceptions", getattr(value, "co_exceptiontable", b""))
    names = (value.co_names, value.co_varnames, value.co_cellvars, value.co_freevars)
    content.write("names", repr((counts, names)))
    content.add(value.co_consts)


def _function(content: ContentHash, value: types.FunctionType) -> None:
    if content.again(value):
        return
    own = not _is_installed(value)
    content.write("function", "" if own else version_of(value.__module__))
    content.add(value.__code__)
    content.add(value.__defaults__, ".__defaults__")
    content.items(sorted((value.__kwdefaults__ or {}).items()), ".__kwdefaults__[{!r}]")
    if hasattr(value, "registry") and hasattr(value, "dispatch"):  # the rest is a cache
        content.add(value.registry, ".registry")
    else:
        content.items(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True), "({})")
        content.items(sorted(vars(value).items()))
    if own:
        used = names_in(value.__code__, value.__globals__)
        for name, found in sorted(used.values.items()):
            content.write("global", name)
            _named(content, found, name, used)
        for name, module in sorted(used.imported.items()):
            content.write("import", name)
            _named(content, module, name, used)


def _named(content: ContentHash, value: Any, name: str, used: CodeNames) -> None:
    """Add what a function of the user finds by a name."""
    if not isinstance(value, types.ModuleType):
        if isinstance(value, (types.FunctionType, type)) and not _is_installed(value):
            content._path, before = [f"{name}()"], content._path  # the path would grow long
            content.add(value)
            content._path = before
        else:
            content.add(value, f" > {name}")
        return
    owned = installed(value.__name__)
    content.write("module", f"{value.__name__} {version_of(value.__name__)}" if owned else "")
    if content.again(value) and owned:
        return
    parts: Iterable[str] = used.attributes & vars(value).keys()
    if not owned and not parts and not hasattr(value, "__path__"):  # it is used in another way
        parts = {part for part in vars(value) if not part.startswith("__")}
    for attribute in sorted(parts):
        found = vars(value)[attribute]
        # of an installed module, only what the user put there
        if not owned or (isinstance(found, types.FunctionType) and not _is_installed(found)):
            content.write("attribute", attribute)
            if not (isinstance(found, types.ModuleType) and id(found) in content._seen):
                _named(content, found, f"{name}.{attribute}", used)


def _module(content: ContentHash, value: types.ModuleType) -> None:
    """Add a module that is used as a value: any of its parts may be used."""
    if content.again(value):
        return
    if installed(value.__name__):
        content.write("module", f"{value.__name__} {version_of(value.__name__)}")
    else:
        own = {k: v for k, v in vars(value).items() if not k.startswith("__")}
        content.items(sorted(own.items()))


def _class(content: ContentHash, value: type) -> None:
    if content.again(value):
        return
    content.write("class", value.__name__)
    if type(value) is not type:
        content.add(type(value))
    for base in value.__mro__:
        own = not _is_installed(base)
        if base is not value and content.again(base):
            continue
        module = _module_of(base)
        where = f"{module}.{base.__qualname__} {version_of(module)}"
        content.write("base", base.__name__ if own else where)
        for name, part in sorted(vars(base).items()):
            if own:
                if name not in IGNORED_OF_CLASSES:
                    content.write("name", name)
                    content.add(part, f".{name}")
                continue
            function = getattr(part, "fget", getattr(part, "__func__", part))
            if isinstance(function, types.FunctionType):
                content.write("name", name)
                # its defaults and closure are those of the version, if the package made it
                content.add(function.__code__ if _is_installed(function) else function)


def _is_installed(value: Any) -> bool:
    """Whether a function or class is part of an installed package."""
    if not isinstance(value, types.FunctionType):
        return installed(_module_of(value))
    # the module that it names can be that of another function, which it wraps
    return installed(value.__globals__.get("__name__", ""), value.__code__.co_filename)


def _instance(content: ContentHash, value: Any) -> None:
    """Add any other object: its class, attributes and what it gives to be copied."""
    if content.again(value):
        return None
    kind = type(value)
    usual = (kind.__reduce_ex__, kind.__reduce__) == (_OBJECT.__reduce_ex__, _OBJECT.__reduce__)
    registered = copyreg.dispatch_table.get(kind)
    try:
        reduced = registered(value) if registered else value.__reduce_ex__(4)
    except Exception as error:
        raise content.unknown(value, str(error).splitlines()[0] if str(error) else "") from None
    content.add(kind)
    if isinstance(reduced, str):
        return content.name_of(value)
    made, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    if usual and made is _NEW:
        arguments = arguments[1:]  # after the class
    else:
        content.add(made, ".__reduce__()")
    content.add(arguments, ".__reduce__()")
    parts = list(state) if isinstance(state, tuple) and len(state) == 2 else [state]
    for part in parts:
        if isinstance(part, dict) and all(isinstance(key, str) for key in part):
            content.items(sorted(part.items()))
        else:
            content.add(part, ".__getstate__()")
    content.add(None if items is None else list(items))
    for key, item in pairs or ():
        content.add(key, ".keys()")
        content.add(item, f"[{key!r}]" if type(key) in _PLAIN else "[...]")
    plain_state = usual and kind.__getstate__ is _OBJECT.__getstate__
    if not plain_state and not installed(_module_of(kind)):  # what it does not give to be copied
        content.items(sorted(getattr(value, "__dict__", {}).items()))
    return None


_EXACT = (list, tuple, dict)  # classes derived from these give their items to be copied
_HANDLERS: dict[type, Callable[[ContentHash, Any], None]] = {
    **dict.fromkeys((list, tuple), _sequence),
    dict: _mapping,
    types.MappingProxyType: _mapping,
    **dict.fromkeys((set, frozenset), _set),
    np.ndarray: _array,
    np.ufunc: _ufunc,
    Enum: _enum,
    functools.partial: _partial,
    types.MethodType: _method,
    **dict.fromkeys(_CALLED_BY_NAME, _by_name),
    property: _property,
    types.MemberDescriptorType: _slot,
    **dict.fromkeys((staticmethod, classmethod, type(functools.cache(len))), _wrapped),
    types.CellType: _cell,
    weakref.ref: _reference,
    types.CodeType: _code,
    types.FunctionType: _function,
    types.ModuleType: _module,
    type: _class,
}
