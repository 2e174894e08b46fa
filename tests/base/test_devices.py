"""Devices of torch, arrays that are moved to them, and memory that is returned or kept."""

import ctypes

import numpy as np
import pytest
import torch

from convergent import InputError
from convergent.base.allocator import keep_freed_memory, return_freed_memory
from convergent.base.devices import on_device, single_is_exact, torch_device


def test_a_device_that_can_be_used():
    assert torch_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["abacus", "", "cpu:x"])
def test_a_device_that_cannot_be_used(name):
    with pytest.raises(InputError, match=f"torch cannot use the device '{name}' .*: try 'cpu'"):
        torch_device(name)


@pytest.mark.parametrize("name", ["meta", "meta:0"])
def test_a_device_without_numbers(name):
    with pytest.raises(InputError, match=f"^the device '{name}' of torch holds no numbers"):
        torch_device(name)


def test_arrays_are_moved_only_if_a_device_is_named():
    values = np.arange(6.0).reshape(2, 3).T
    assert on_device(values, None) is values
    values.setflags(write=False)  # torch has no such tensors, and would warn
    moved = on_device(values, "cpu")
    assert isinstance(moved, torch.Tensor)
    np.testing.assert_array_equal(moved, values)


def test_single_precision_of_torch_can_be_reduced():
    assert single_is_exact(np.ones(3))
    assert single_is_exact(torch.ones(3))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert not single_is_exact(torch.ones(3))
        assert single_is_exact(np.ones(3))
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("library", [AttributeError, OSError, TypeError, None])
def test_memory_of_a_library_without_options(monkeypatch, library):
    if library is not None:

        def other(_name):
            raise library

        monkeypatch.setattr(ctypes, "CDLL", other)
    return_freed_memory()
    with pytest.raises(KeyError), keep_freed_memory():
        raise KeyError
