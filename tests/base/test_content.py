"""Content hashes: equal for equal content in any process, different for all that decides."""

import copy
import os
import subprocess
import sys
import textwrap
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convergent.base.content import UnknownContentError, content_sha256

PLAIN = {"numbers": [1, 2.0, True, None], "text": {"a": ("b", b"c")}, "set": {3, "x", (1,)}}


def sha256(value):
    return content_sha256(value, "it")


def typed(source, **names):
    """What a user types at a prompt: there is no file that holds its source."""
    namespace = {"__name__": "__main__", "nn": nn, "torch": torch, "np": np, **names}
    exec(textwrap.dedent(source), namespace)
    return namespace


def net(line, **names):
    """A network of a class that was typed at a prompt."""
    source = f"""
        class Net(nn.Module):
            def forward(self, x):
                return {line}
    """
    return typed(source, **names)["Net"]()


def with_attribute(value):
    module = nn.Sequential(nn.ReLU())
    module[0].setting = value
    return module


def closed(over):
    return lambda x: x * over


def hooked(factor):
    module = nn.Sequential(nn.ReLU())
    module[0].register_forward_hook(lambda _module, _inputs, output: output * factor)
    return module


def replaced(factor):
    module = nn.Sequential(nn.ReLU())
    module.forward = lambda x: x * factor
    return module


def unsaved(value):
    module = nn.ReLU()
    module.register_buffer("gain", torch.tensor(float(value)), persistent=False)
    return module


def parametrized(factor):
    class Scaled(nn.Module):
        def forward(self, weight):
            return weight * factor

    module = nn.Linear(1, 1)
    module.weight.data[:], module.bias.data[:] = 1, 0
    nn.utils.parametrize.register_parametrization(module, "weight", Scaled())
    return module


def derived(factor):
    class Base(nn.Module):
        def scale(self, x):
            return x * factor

    class Net(Base):
        def forward(self, x):
            return self.scale(x)

    return Net()


def of_class(**attributes):
    return type("Net", (nn.Module,), {"__module__": "__main__", **attributes})()


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Hidden:
    """What it gives to be copied does not hold all that decides."""

    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return {}


CARRIERS = {
    "list": lambda k: with_attribute([1, k]),
    "dict": lambda k: with_attribute({"a": {"b": k}}),
    "key": lambda k: with_attribute({k: 1}),
    "set": lambda k: with_attribute({1, 2, k + 3}),
    "array": lambda k: with_attribute(np.array([1.0, k])),
    "object array": lambda k: with_attribute(np.array([None, "a", k], dtype=object)),
    "masked array": lambda k: with_attribute(np.ma.array([1, 2], mask=[0, k])),
    "tensor": lambda k: with_attribute(torch.tensor([1.0, k])),
    "sparse tensor": lambda k: with_attribute(torch.tensor([[1.0, k]]).to_sparse()),
    "buffer that is not saved": unsaved,
    "random generator": lambda k: with_attribute(np.random.default_rng(k)),
    "torch generator": lambda k: with_attribute(torch.Generator().manual_seed(k)),
    "partial": lambda k: with_attribute(partial(torch.clamp, min=k)),
    "closure": lambda k: with_attribute(closed(k)),
    "closure in a list": lambda k: with_attribute([closed([k])]),
    "default": lambda k: with_attribute(typed(f"def f(x, by={k}): return x * by")["f"]),
    "keyword default": lambda k: with_attribute(typed(f"def f(x, *, by={k}): pass")["f"]),
    "bound method": lambda k: with_attribute(Slots(k).__init__),
    "slots": lambda k: with_attribute(Slots(k)),
    "hidden state": lambda k: with_attribute(Hidden(k)),
    "object": lambda k: with_attribute(types.SimpleNamespace(inner=[k])),
    "underscore": lambda k: setattr(m := nn.ReLU(), "_gain", [k]) or m,
    "hook": hooked,
    "forward of one object": replaced,
    "parametrization": parametrized,
    "base class": derived,
    "class attribute": lambda k: of_class(gain=[k]),
    "static method": lambda k: of_class(gain=staticmethod(closed(k))),
    "property": lambda k: of_class(gain=property(closed(k))),
    "constant": lambda k: net(f"x * {k}"),
    "inner function": lambda k: net(f"(lambda y: y * {k})(x)"),
    "helper": lambda k: net("helper(x)", helper=closed(k)),
    "value by name": lambda k: net("x * GAIN", GAIN=[k]),
    "helper of a helper": lambda k: net(
        "outer(x)", outer=typed("def outer(x): return inner(x)", inner=closed(k))["outer"]
    ),
    "part of an object": lambda k: net(
        "tools.scale(x)", tools=types.SimpleNamespace(scale=closed(k))
    ),
    "wrapped": lambda k: with_attribute(torch.no_grad()(closed(k))),
    "scripted": lambda k: torch.jit.script(nn.LeakyReLU(k + 1.0)),
    "traced graph": lambda k: torch.fx.symbolic_trace(net(f"x * {k}")),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_differs_in_one_place_has_another_hash(carrier):
    make = CARRIERS[carrier]
    one, same, other = make(0), make(0), make(1)
    assert sha256(one) == sha256(one)
    assert sha256(one) != sha256(other)
    assert sha256(one) == sha256(same)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_order_of_scripted_parts_counts():
    def traced(*strides):
        parts = [nn.MaxPool2d(1, stride) for stride in strides]
        return torch.jit.trace(nn.Sequential(*parts, nn.ReLU()), torch.ones(1, 3, 8, 8))

    assert sha256(traced(1, 2)) == sha256(traced(1, 2))
    assert sha256(traced(1, 2)) != sha256(traced(2, 1))
    assert sha256(traced(1, 2)) != sha256(traced(1, 1))


def test_a_single_value_of_a_larger_tensor_has_the_hash_of_its_copy():
    one = torch.arange(6.0).reshape(3, 2)[1:2, 0]
    assert one.stride() == (2,)
    assert sha256(one) == sha256(one.clone())


def test_a_hook_of_all_arguments_is_another_than_one_of_inputs():
    def hook(*_given):
        return None

    several = [nn.ReLU() for _ in range(4)]
    several[1].register_forward_hook(hook)
    several[2].register_forward_hook(hook, with_kwargs=True)
    several[3].register_forward_pre_hook(hook)
    assert len({sha256(module) for module in several}) == 4


def test_removed_hooks_modes_and_copies_do_not_count():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = sha256(module)
    module[0].register_forward_hook(lambda *_: None).remove()
    with torch.inference_mode():
        module.eval()(torch.ones(1, 3, 4, 4))
    assert sha256(module) == before
    assert sha256(copy.deepcopy(module).to("cpu", memory_format=torch.channels_last)) == before
    module[0].weight.data[0, 0, 0, 0] += 1e-6
    assert sha256(module) != before


def test_lines_files_and_comments_do_not_count():
    one = typed("def f(x):\n    return x + 1")["f"]
    other = typed("# a comment\n\n\ndef f(x):\n\n    return x + 1  # more")["f"]
    assert sha256(one) == sha256(other)


def test_cycles_end():
    def looped(value):
        ring = [value, {}]
        ring[1]["self"] = ring
        return ring

    assert sha256(looped(1)) == sha256(looped(1)) != sha256(looped(2))
    ring = typed("def f(n): return g(n)\ndef g(n): return f(n)")
    assert sha256(ring["f"]) == sha256(ring["f"])


def test_modules_of_the_user_count_by_the_code_that_is_loaded(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "own_helpers_of_content.py"
    file.write_text("def scale(x):\n    return x * 2\n\n\ndef other(x):\n    return x\n")
    module = __import__(file.stem)
    nets = [
        net("helpers.scale(x)", helpers=module),
        net("getattr(helpers, 'scale')(x)", helpers=module),
        net("getattr(helpers, x)", helpers=module),
        typed(
            "class Net(nn.Module):\n    def forward(self, x):\n"
            f"        from {file.stem} import scale\n        return scale(x)"
        )["Net"](),
    ]
    before = [sha256(each) for each in nets]
    file.write_text("def scale(x):\n    return x * 3\n\n\ndef other(x):\n    return x\n")
    assert [sha256(each) for each in nets] == before  # what runs is as it was
    exec(compile(file.read_text(), str(file), "exec"), vars(module))  # as importlib.reload
    assert not {sha256(each) for each in nets} & set(before)


def test_an_installed_package_counts_by_its_version(monkeypatch):
    before = sha256(nn.ReLU())
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert sha256(nn.ReLU()) != before
    monkeypatch.undo()
    monkeypatch.setattr(nn.ReLU, "forward", lambda _self, x: x)
    assert sha256(nn.ReLU()) != before


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (Path(os.devnull).open, r"it\.0\.setting is a _io\.TextIOWrapper"),
        (
            lambda: {"a": (i for i in ())},
            r"it\.0\.setting\['a'\] is a generator",
        ),
        (lambda: np.frompyfunc(abs, 1, 1), r"it\.0\.setting is a numpy\.ufunc"),
        (lambda: torch.empty(1, device="meta"), r"it\.0\.setting is a torch\.Tensor"),
    ],
    ids=["file", "generator", "ufunc", "meta"],
)
def test_what_cannot_be_known_is_named(make, where):
    value = make()
    with pytest.raises(UnknownContentError, match=f"{where}, whose content cannot be known.*Use"):
        sha256(with_attribute(value))
    if hasattr(value, "close"):
        value.close()


OTHER_PROCESS = """
import sys
sys.path[:0] = sys.argv[1:]
from test_content import known_everywhere, sha256
print(sha256(known_everywhere()))
"""


def known_everywhere():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MultiheadAttention(4, 2))
    module.more = [PLAIN, np.arange(3), {"b", "a", "c"}, frozenset({("x", 1), ("y", 2)})]
    module.call, module.own = closed(2), derived(3)
    module[0].register_forward_hook(partial(hooked, 2))
    return module


def test_another_process_finds_the_same_hash(tmp_path):
    (tmp_path / "script.py").write_text(OTHER_PROCESS)
    here = str(Path(__file__).parent)
    found = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), here],
        env=os.environ | {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.strip() == sha256(known_everywhere())
