"""Content of torch's tensors and modules, for content hashes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .content import ContentHash

__all__ = ["TORCH_HANDLERS", "bytes_of"]

# attributes of modules that do not decide an output: hooks of saving and loading, and bookkeeping
_IGNORED = frozenset(
    {
        "training",
        "_compiled_call_impl",
        "_is_full_backward_hook",
        "_non_persistent_buffers_set",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks_with_kwargs",
    }
)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_PARTS = ("_parameters", "_buffers", "_modules")
_NUMBER = re.compile(rb"[./]?___torch_mangle_\d+")
_OF_GRAPHS = frozenset({"_graph", "meta"})  # the code of a traced module is made from its graph


def bytes_of(tensor: Any) -> memoryview:
    """Values of a tensor, as bytes."""
    import torch

    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    flat = plain.contiguous().flatten()
    if flat.numel() == 1:  # torch calls it contiguous whatever its stride
        flat = flat.clone(memory_format=torch.contiguous_format).as_strided((1,), (1,))
    flat = flat.view(torch.uint8)
    found: memoryview = flat.numpy().data
    return found


def _tensor(content: ContentHash, value: Any) -> None:
    if content.again(value):
        return
    try:
        values = bytes_of(value)
    except (RuntimeError, TypeError, NotImplementedError, ValueError) as error:
        raise content.unknown(value, str(error).splitlines()[0]) from None
    content.write("tensor", f"{value.dtype} {tuple(value.shape)} {value.layout}")
    content.write("values", values)
    if type(value).__module__ not in ("torch", "torch.nn.parameter"):
        content.add(type(value))
    more = {k: v for k, v in vars(value).items() if not k.startswith("_dynamo")}
    content.items(sorted(more.items()))


def _module(content: ContentHash, value: Any) -> None:
    if content.again(value):
        return
    content.add(type(value))
    held = dict(vars(value))
    for name in _PARTS:
        content.write("parts", name)
        content.items(held.pop(name, {}).items())
    _hooks(content, held)
    for name in _HOOKS:
        held.pop(name, None)
    graph = any(base.__name__ == "GraphModule" for base in type(value).__mro__)
    content.items(
        (name, part)
        for name, part in sorted(held.items())
        if name not in _IGNORED and not (graph and name in _OF_GRAPHS)
    )


def _hooks(content: ContentHash, held: Mapping[str, Any]) -> None:
    """Add hooks in their order; the numbers by which torch knows them differ in each process."""
    for name in _HOOKS:
        for i, (number, hook) in enumerate(held.get(name, {}).items()):
            flags = (
                number in held.get(f"{name}_with_kwargs", ()),
                number in held.get(f"{name}_always_called", ()),
            )
            content.write("hook", f"{name} {flags}")
            content.add(hook, f".{name}[{i}]")


def _script(content: ContentHash, value: Any) -> None:
    """Add a scripted or traced module: all that torch saves of it, places of source code apart.

    Torch numbers classes of one name as they are made or loaded. The numbers are left out; which
    code belongs to which part is in the graph, where all calls are replaced by what they do.
    """
    if content.again(value):
        return
    try:
        content.write("graph", _NUMBER.sub(b"", value.inlined_graph.str(False).encode()))
        with zipfile.ZipFile(io.BytesIO(value.save_to_buffer())) as archive:
            parts = [
                (_NUMBER.sub(b"", part.encode()), _NUMBER.sub(b"", archive.read(name)))
                for name in archive.namelist()
                if not (part := name.partition("/")[2]).endswith(".debug_pkl")
                and not part.startswith(".data/")
            ]
        for place, code in sorted(parts):
            content.write("part", place)
            content.write("content", code)
    except (RuntimeError, AttributeError) as error:
        raise content.unknown(value, str(error).splitlines()[0]) from None
    for name, part in value.named_modules() if hasattr(value, "named_modules") else ():
        content.write("part", name)
        _hooks(content, vars(part))


def _compiled(content: ContentHash, value: Any) -> None:
    """Add what was compiled; the compiler changes no result beyond rounding."""
    if not content.again(value):
        content.write("compiled")
        content.add(value._orig_mod, "._orig_mod")
        _hooks(content, vars(value))


def _generator(content: ContentHash, value: Any) -> None:
    if not content.again(value):
        content.write("generator", str(value.device.type))
        content.add(value.get_state(), ".get_state()")


def _as_text(content: ContentHash, value: Any) -> None:
    content.write(type(value).__name__, str(value))


TORCH_HANDLERS: dict[str, Callable[[ContentHash, Any], None]] = {
    "torch.Tensor": _tensor,
    "torch._C.TensorBase": _tensor,
    "torch.nn.modules.module.Module": _module,
    "torch.jit._script.ScriptModule": _script,
    "torch.jit._script.RecursiveScriptModule": _script,
    "torch.jit.ScriptFunction": _script,
    "torch._dynamo.eval_frame.OptimizedModule": _compiled,
    "torch._C.Generator": _generator,
    **dict.fromkeys(
        (
            "torch.dtype",
            "torch.device",
            "torch.layout",
            "torch.memory_format",
            "torch.qscheme",
            "torch._ops.OpOverload",
            "torch._ops.OpOverloadPacket",
        ),
        _as_text,
    ),
}
