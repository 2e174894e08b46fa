"""Files of weights: the same weights, or refused; never others."""

import base64
import hashlib
import io
import os
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from cases import outcomes

from convergent import InputError, network
from convergent.networks.weights import check_installed, read_tensors

STATE = {"a": torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), "b": torch.ones(5)}


def saved(**options):
    file = io.BytesIO()
    torch.save(STATE, file, **options)
    return file.getvalue()


def is_state(found):
    return found.keys() == STATE.keys() and all(torch.equal(found[k], STATE[k]) for k in STATE)


def test_damage_is_harmless_or_noticed(tmp_path):
    read = partial(read_tensors, what="checkpoint")
    found, wrong = outcomes(tmp_path / "w.pt", saved(), read, is_state, flips=150, cuts=12)
    assert not wrong
    assert found["noticed"] > 80


def test_member_marked_as_a_folder(tmp_path):
    # one flipped bit; torch takes uninitialised memory for its content
    content = bytearray(saved())
    at = content.rindex(b"PK\1\2", 0, content.rindex(b"archive/data/1")) + 38
    content[at] ^= 0x10
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pt is damaged .* marked as a folder"):
        read_tensors(tmp_path / "w.pt", "checkpoint")


def test_claims_of_an_archive(tmp_path):
    content = bytearray(saved())
    at = content.rindex(b"PK\1\2", 0, content.rindex(b"archive/data/1"))
    content[at + 24 : at + 28] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pt is damaged: .*data/1' of 20 bytes claims to hold"):
        read_tensors(tmp_path / "w.pt", "checkpoint")


def test_format_that_has_no_checksum(tmp_path):
    old = saved(_use_new_zipfile_serialization=False)
    file = tmp_path / "old.pt"
    file.write_bytes(old)
    assert is_state(read_tensors(file, "checkpoint"))
    for length in np.linspace(0, len(old) - 1, 12).astype(int):
        file.write_bytes(old[:length])
        with pytest.raises(InputError, match=r"old\.pt (is damaged, cut short|holds more)"):
            read_tensors(file, "checkpoint")


def test_archive_written_without_checksums(tmp_path):
    content = saved()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # as set_crc32_options(False) does
        for each in archive.infolist():
            content = content.replace(each.CRC.to_bytes(4, "little"), bytes(4))
    (tmp_path / "w.pt").write_bytes(content)
    assert is_state(read_tensors(tmp_path / "w.pt", "checkpoint"))


def test_weights_of_a_package_are_those_that_were_installed(tmp_path, monkeypatch):
    package, record = tmp_path / "toy_model", tmp_path / "toy_model-1.dist-info"
    package.mkdir()
    record.mkdir()
    weights = package / "toy.pth"
    weights.write_bytes(b"weights")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"weights").digest()).decode().rstrip("=")
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-model\nVersion: 1\n")
    (record / "RECORD").write_text(f"toy_model/toy.pth,sha256={digest},7\n")
    monkeypatch.syspath_prepend(tmp_path)
    check_installed(weights, "toy-model")
    check_installed(weights, "toy-model-of-a-folder")
    weights.write_bytes(b"weightS")
    with pytest.raises(InputError, match=r"toy\.pth is damaged: .*--force-reinstall"):
        check_installed(weights, "toy-model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")  # opening it would wait for ever
    with pytest.raises(InputError, match=r"pipe\.pt is a pipe, and no checkpoint"):
        network("small-plain", checkpoint=tmp_path / "pipe.pt")
    with pytest.raises(InputError, match=r"is a folder, and no checkpoint"):
        network("small-plain", checkpoint=tmp_path)
