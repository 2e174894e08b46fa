"""Stores of layers: the same values as in memory, continued where they stopped, never stale."""

import copy
import errno
import os
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from cases import to_tensor
from torch import nn

import convergent as cv
from convergent import Assembly, InputError, Network, Stimuli, extract, open_layers
from convergent.data import assembly_checks, layer_store, storage
from convergent.data.assembly import open as open_assembly
from convergent.data.layer_store import layer_path, read_record
from convergent.data.storage import chunk_sizes
from convergent.networks import forward, into_store
from convergent.networks.forward import inputs_fingerprint
from convergent.networks.probe import PROBES

N = 80  # stimuli, in rows of chunks of HEIGHT: 16, 16, 16, 16, 16
HEIGHT = 16
LAYERS = ("0", "2", "4")

halved = partial(to_tensor, offset=0.5)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(storage, "CHUNK_STIMULI", (2, HEIGHT))
    monkeypatch.setattr(storage, "CHUNK_ROW_BYTES", (40, 64))  # 16 units


def made(seed=0, **given):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2),
            nn.ReLU(inplace=True),  # changes what layer "0" gave
            nn.Conv2d(6, 10, 3),
            nn.Flatten(),
            nn.Linear(10, 7),
        )
    return Network("toy", module, given.pop("preprocess", halved), **given)


@pytest.fixture
def toy():
    return made(about={"weights": "drawn", "more": [1, 2]})


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (N, 7, 7, 3), dtype=np.uint8)


def shown(images):
    return Stimuli.from_arrays(list(images), [f"{i:02d}.png" for i in range(len(images))])


@pytest.fixture
def stimuli(images):
    return shown(images)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "layers.zarr"


@pytest.fixture(autouse=True)
def batches(monkeypatch):
    """Number of stimuli in each forward pass (hooks that count would make another network)."""
    Seen.batches = []
    recording = forward._recording

    @contextmanager
    def counted(*given):
        with recording(*given) as run:
            yield lambda batch, missing: Seen.batches.append(len(batch)) or run(batch, missing)

    monkeypatch.setattr(forward, "_recording", counted)


class Seen:
    """How many stimuli networks are shown from now on."""

    def __init__(self):
        self.before = len(Seen.batches)

    @property
    def count(self):
        return sum(Seen.batches[self.before :])


def interrupted(toy, stimuli, store, at, error=KeyboardInterrupt, layers=LAYERS, **options):
    """Extract until the stimulus at this place is prepared."""
    calls = []

    def preprocess(image):
        calls.append(image)
        if len(calls) == at + 2:  # one more is looked at before all
            raise error
        return halved(image)

    stopping = Network(toy.name, toy.module, preprocess, about=toy.about)
    with pytest.raises(error):
        extract(stopping, stimuli, layers, batch_size=8, store=store, **options)


def contents(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for layer, one in found.items():
        assert one.data.chunks is not None
        assert one.data.identical(expected[layer].data)
        assert one.data.attrs == expected[layer].data.attrs
        assert one.fingerprint() == expected[layer].fingerprint()


# What is in a store


@pytest.mark.parametrize(
    ("spatial", "batch_size"), [("mean", 7), ("max", 16), ("center", 100), ("flatten", 7)]
)
def test_a_store_holds_what_memory_holds(toy, stimuli, store, spatial, batch_size):
    options = {"spatial": spatial, "batch_size": batch_size}
    expected = extract(toy, stimuli, LAYERS, **options)
    assert_same(extract(toy, stimuli, LAYERS, store=store, **options), expected)
    assert_same(open_layers(store), expected)


def test_each_layer_is_an_assembly_of_its_own(toy, stimuli, store):
    expected = extract(toy, stimuli, LAYERS, store=store, spatial="flatten")
    record = read_record(store)
    for layer in LAYERS:
        one = open_assembly(layer_path(store, record, layer))
        assert one.data.identical(expected[layer].data)
    assert sorted(zarr.open_group(store, mode="r").group_keys()) == ["000-0.zarr"] + [
        f"00{i}-{2 * i}.zarr" for i in (1, 2)
    ]


def test_nothing_is_left_but_the_store(toy, stimuli, store):
    extract(toy, stimuli, LAYERS, store=store)
    assert list(store.parent.iterdir()) == [store]
    assert sorted(file.name for file in store.iterdir()) == [
        *("000-0.zarr", "001-2.zarr", "002-4.zarr", "zarr.json")
    ]
    assert list(store.rglob(".*")) == []


def test_values_are_not_held_in_memory(toy, stimuli, store, monkeypatch):
    sizes = []
    empty = np.empty
    monkeypatch.setattr(
        forward.np, "empty", lambda shape, **k: sizes.append(shape) or empty(shape, **k)
    )
    extract(toy, stimuli, ["0"], store=store, batch_size=8)
    assert (HEIGHT + 8, 6) in sizes
    assert (N, 6) not in sizes


def test_inputs_hash_does_not_depend_on_batches(toy, stimuli):
    one = extract(toy, stimuli, ["0"], batch_size=7)["0"].data.attrs["inputs_sha256"]
    for batch_size in (1, 32, 100):
        assert inputs_fingerprint(toy, stimuli, batch_size) == one
        other = extract(toy, stimuli, ["0"], batch_size=batch_size)
        assert other["0"].data.attrs["inputs_sha256"] == one


def test_inputs_fingerprint_shows_nothing_to_the_network(toy, stimuli, images):
    seen = Seen()
    before = inputs_fingerprint(toy, stimuli)
    images[-1, 0, 0, 0] ^= 1
    assert inputs_fingerprint(toy, shown(images)) != before
    assert seen.count == 0


# Rows of chunks


@pytest.mark.parametrize(
    ("n", "units", "expected"),
    [
        (10, 100, (10, 100)),
        (640, 10**6, (64, 16384)),
        (640, 5, (64, 5)),
        (10_000, 10**6, (512, 1677)),
        (10**6, 10**6, (512, 256)),
    ],
)
def test_chunks_suit_stimuli_and_units(monkeypatch, n, units, expected):
    monkeypatch.undo()
    assert chunk_sizes(n, units) == expected


def test_saved_assemblies_have_the_same_chunks(tmp_path):
    values = np.random.default_rng(0).normal(size=(N, 30)).astype("f4")
    lazy = dask.array.from_array(values, chunks=(7, 11))
    names = [str(i) for i in range(N)]
    for one in (values, lazy):
        path = Assembly.from_array(one, stimuli=names).save(tmp_path / "one.zarr")
        assert open_assembly(path).data.chunks == ((HEIGHT,) * 5, (16, 14))
        np.testing.assert_array_equal(open_assembly(path).data.values, values)


def test_saved_assemblies_with_repeats_have_chunks_of_them(tmp_path):
    values = np.zeros((N, 30, 2))  # 16 bytes a unit and stimulus
    names = [str(i) for i in range(N)]
    made = Assembly.from_array(values, stimuli=names, dims=("stimulus", "unit", "repeat"))
    opened = open_assembly(made.save(tmp_path / "one.zarr"))
    assert opened.data.chunks == ((HEIGHT,) * 5, (4,) * 7 + (2,), (2,))
    assert opened.data.identical(made.data)


@pytest.mark.parametrize("block_bytes", [1, 6 * 4 * 20, 10**9])
def test_fingerprint_reads_each_chunk_once(toy, stimuli, store, monkeypatch, block_bytes):
    found = extract(toy, stimuli, ["0"], store=store)["0"]
    expected = Assembly(found.data.compute())
    reads = []

    def read(block):
        reads.append(len(block))
        return block

    watched = found.data.copy(
        data=found.data.data.map_blocks(read, dtype="f4", meta=np.empty((0, 0), "f4"))
    )
    monkeypatch.setattr(assembly_checks, "BLOCK_BYTES", block_bytes)
    assert Assembly(watched).fingerprint() == expected.fingerprint()
    assert reads == [HEIGHT] * 5


def test_wrapping_reads_nothing():
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    values = dask.array.zeros((4, 3), chunks=(2, 3)).map_blocks(
        read, dtype=float, meta=np.empty((0, 0))
    )
    parts = Assembly.from_array(values, stimuli=list("abcd")).where(unit="unit1").by("unit")
    assert reads == []
    assert parts["unit1"].data.values.tolist() == [[0.0]] * 4
    assert len(reads) == 2  # and then it is read


# Interruptions


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize(("at", "rows"), [(20, 1), (50, 3), (79, 4)])
def test_an_interrupted_extraction_continues(toy, stimuli, store, error, at, rows):
    interrupted(toy, stimuli, store, at, error)
    # the batch before the last whole one may still be on its way when the next breaks
    assert read_record(store).layers == dict.fromkeys(LAYERS, rows)
    seen = Seen()
    found = extract(toy, stimuli, LAYERS, batch_size=8, store=store)
    assert seen.count == PROBES + N - rows * HEIGHT
    assert_same(found, extract(toy, stimuli, LAYERS, batch_size=8))


def test_an_extraction_interrupted_before_its_first_row_leaves_nothing(toy, stimuli, store):
    interrupted(toy, stimuli, store, 3)
    assert list(store.parent.iterdir()) == []
    with pytest.raises(InputError, match=r"there is no .*layers.zarr"):
        open_layers(store)


def test_batches_that_straddle_rows_are_continued(toy, stimuli, store):
    expected = extract(toy, stimuli, LAYERS, batch_size=7)
    interrupted(toy, stimuli, store, 40)
    assert read_record(store).layers == dict.fromkeys(LAYERS, 2)
    seen = Seen()
    found = extract(toy, stimuli, LAYERS, batch_size=7, store=store)
    assert seen.count == PROBES + N - 28  # 32 are finished: the batch from 28 on is shown
    for layer in LAYERS:
        np.testing.assert_allclose(found[layer].data, expected[layer].data, atol=1e-6)


def test_of_a_complete_store_only_a_probe_is_shown(toy, stimuli, store):
    expected = extract(toy, stimuli, LAYERS, store=store)
    before, seen = contents(store), Seen()
    assert_same(extract(toy, stimuli, LAYERS, store=store, batch_size=9), expected)
    assert list(extract(toy, stimuli, ["4"], store=store)) == ["4"]
    assert seen.count == 2 * PROBES
    assert contents(store) == before


def test_layers_are_added(toy, stimuli, store):
    expected = extract(toy, stimuli, LAYERS, batch_size=8)
    extract(toy, stimuli, ["2"], batch_size=8, store=store)
    before, seen = contents(store), Seen()
    found = extract(toy, stimuli, LAYERS, batch_size=8, store=store)
    assert seen.count == PROBES + N
    assert_same(found, expected)
    assert list(open_layers(store)) == ["2", "0", "4"]
    after = contents(store)
    assert [file.name for file in before if after[file] != before[file]] == ["zarr.json"]


def test_adding_layers_to_an_interrupted_store_finishes_both(toy, stimuli, store):
    interrupted(toy, stimuli, store, 40, layers=["4"])
    interrupted(toy, stimuli, store, 40 + 60, layers=["0", "4"])  # finished rows are seen first
    assert read_record(store).layers == {"4": 3, "0": 3}
    found = extract(toy, stimuli, ["4", "2"], batch_size=8, store=store)
    assert read_record(store).layers == {"4": 5, "0": 3, "2": 5}
    assert_same(found, extract(toy, stimuli, ["4", "2"], batch_size=8))


def test_a_layer_that_is_finished_is_not_waited_for(toy, stimuli, store, monkeypatch):
    """Where only an early layer is missing, the network runs no further."""
    interrupted(toy, stimuli, store, 40, layers=["4"])
    late, conv2d = [], nn.functional.conv2d

    def counted(inputs, weight, *rest):
        if len(weight) == len(toy.module[2].weight):
            late.append(len(inputs))
        return conv2d(inputs, weight, *rest)

    monkeypatch.setattr(nn.functional, "conv2d", counted)
    extract(toy, stimuli, ["4", "0"], batch_size=8, store=store)
    assert sum(late) == PROBES + N - 2 * HEIGHT


def test_an_incomplete_store_says_how_far_it_got(toy, stimuli, store):
    interrupted(toy, stimuli, store, 50)
    with pytest.raises(
        InputError,
        match=r"not complete \('0' has 48 of 80 stimuli, .*\): call extract again with the same",
    ):
        open_layers(store)
    with pytest.raises(InputError, match=r"000-0.zarr is a layer whose extraction was int"):
        open_assembly(layer_path(store, read_record(store), "0"))


def test_a_row_counts_only_when_all_its_layers_are_written(toy, stimuli, store, monkeypatch):
    write, calls = into_store.write_rows, []

    def fail(path, start, values):
        calls.append(path)
        if len(calls) == 5:  # the second layer's second row
            raise OSError("no space left")
        write(path, start, values)

    monkeypatch.setattr(into_store, "write_rows", fail)
    with pytest.raises(OSError, match="no space"):
        extract(toy, stimuli, LAYERS, batch_size=8, store=store)
    assert read_record(store).layers == dict.fromkeys(LAYERS, 1)
    monkeypatch.undo()
    small = {"CHUNK_STIMULI": (2, HEIGHT), "CHUNK_ROW_BYTES": (40, 64)}
    for key, value in small.items():
        monkeypatch.setattr(storage, key, value)
    found = extract(toy, stimuli, LAYERS, batch_size=8, store=store)
    assert_same(found, extract(toy, stimuli, LAYERS, batch_size=8))


def test_hooks_and_modes_are_left_as_they_were_by_an_interruption(toy, stimuli, store):
    toy.module.train()
    interrupted(toy, stimuli, store, 50)
    assert toy.module.training
    assert not any(part._forward_hooks for part in toy.module.modules())


# Never stale


def other_weights(toy, images):
    toy.module[4].bias.data[-1] += 1e-6
    return toy, shown(images), {}


def other_architecture(toy, images):
    toy.module[1] = nn.ELU()
    return toy, shown(images), {}


def other_size(toy, images):
    return toy, shown(np.pad(images, [(0, 0), (0, 1), (0, 0), (0, 0)])), {}


def other_pixel(toy, images):
    images[17, -1, -1, -1] ^= 1
    return toy, shown(images), {}


def other_preprocessing(_toy, images):
    return made(preprocess=lambda image: halved(image) * 2), shown(images), {}


def other_names(_toy, images):
    stimuli = Stimuli.from_arrays(list(images), [f"{i:02d}.jpg" for i in range(N)])
    return made(), stimuli, {}


def fewer(toy, images):
    return toy, shown(images[:-1]), {}


def other_spatial(toy, images):
    return toy, shown(images), {"spatial": "max"}


OTHERS = {
    other_weights: "other weights",
    other_architecture: "another network: other code, settings or hooks",
    other_size: r"another image size \(float32 \(3, 7, 7\) in the store, .*\(3, 8, 7\)",
    other_pixel: "other pixels.*stimuli from '16.png' to '31.png'",
    other_preprocessing: "other pixels.*stimuli from '00.png' to '15.png'",
    other_names: r"other stimuli \(80 .*not in both are '00.jpg', '00.png'",
    fewer: "other stimuli .*79; not in both are '79.png'",
    other_spatial: r"another treatment of positions \(spatial\) \(mean in .*, asked for max",
}


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("change", OTHERS)
def test_what_differs_is_named_and_the_store_left_as_it_is(
    toy, images, stimuli, store, change, complete
):
    if complete:
        extract(toy, stimuli, ["4"], batch_size=8, store=store)
    else:
        interrupted(toy, stimuli, store, 50, layers=["4"])
    before = contents(store)
    network, stimuli, options = change(toy, images)
    for layers in (["4"], ["4", "0"]):
        with pytest.raises(
            InputError, match=f"{OTHERS[change]}.*left as it is: give another path as store"
        ):
            extract(network, stimuli, layers, batch_size=8, store=store, **options)
    assert contents(store) == before


def test_what_the_store_has_not_seen_may_change(toy, images, stimuli, store):
    interrupted(toy, stimuli, store, 50)
    images[60] ^= 1  # 48 are finished
    expected = extract(toy, shown(images), LAYERS, batch_size=8)
    assert_same(extract(toy, shown(images), LAYERS, batch_size=8, store=store), expected)


def test_notes_about_a_network_are_those_of_the_call(toy, stimuli, store):
    extract(toy, stimuli, ["0"], store=store)
    renamed = Network("other", toy.module, halved, about={"weights": "same, by another name"})
    found = extract(renamed, stimuli, ["0"], store=store)
    assert_same(found, extract(renamed, stimuli, ["0"]))


def test_notes_that_cannot_be_saved_are_refused_before_anything_runs(stimuli, store):
    network = made(about={"array": np.zeros(2)})
    seen = Seen()
    with pytest.raises(InputError, match="attrs cannot be saved exactly"):
        extract(network, stimuli, ["0"], store=store)
    assert seen.count == 0


@pytest.mark.parametrize("kind", ["file", "folder", "assembly", "damaged", "format"])
def test_a_path_that_holds_something_else_is_refused(toy, stimuli, store, kind):
    if kind == "file":
        store.write_text("mine")
    elif kind == "folder":
        store.mkdir()
        (store / "mine.txt").write_text("mine")
    elif kind == "assembly":
        extract(toy, stimuli, ["0"])["0"].save(store)
    else:
        extract(toy, stimuli, ["0"], store=store)
        text = (store / "zarr.json").read_text()
        changed = text[:-9] if kind == "damaged" else text.replace('"format": 2', '"format": 9')
        assert changed != text
        (store / "zarr.json").write_text(changed)
    before, seen = contents(store), Seen()
    for use in (lambda: extract(toy, stimuli, ["0"], store=store), lambda: open_layers(store)):
        with pytest.raises(InputError, match=r"layers.zarr is no store of layers, or .*another pa"):
            use()
    assert contents(store) == before
    assert seen.count == 0


def test_an_empty_folder_is_written_to(toy, stimuli, store):
    store.mkdir()
    extract(toy, stimuli, ["0"], store=store)
    assert list(open_layers(store)) == ["0"]


def test_what_a_kill_leaves_before_the_first_record_is_an_empty_folder(toy, stimuli, store):
    (store / ".zarr.json-abc").mkdir(parents=True)
    (store / ".zarr.json-abc" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="there is no"):
        open_layers(store)
    extract(toy, stimuli, ["0"], store=store)
    assert list(open_layers(store)) == ["0"]


@pytest.mark.parametrize("at", [1, 2, 8, 30, 41, 50])
def test_an_extraction_stopped_at_any_rename_continues(toy, stimuli, store, monkeypatch, at):
    few = Stimuli.from_arrays([stimuli[name] for name in stimuli.names[:24]], stimuli.names[:24])
    expected = extract(toy, few, ["0"])
    calls, replace = [], os.replace

    def stopped(*paths):
        calls.append(paths)
        if len(calls) >= at:  # nor does anything that would tidy up
            raise RuntimeError("stopped")
        return replace(*paths)

    monkeypatch.setattr(os, "replace", stopped)
    with suppress(RuntimeError):
        extract(toy, few, ["0"], store=store)
    monkeypatch.undo()
    found = extract(toy, few, ["0"], store=store)
    np.testing.assert_array_equal(found["0"].data, expected["0"].data)
    assert open_layers(store)["0"].data.identical(found["0"].data)
    assert not list(store.rglob("*.partial"))


def test_a_store_is_no_single_assembly(toy, stimuli, store):
    extract(toy, stimuli, ["0"], store=store)
    with pytest.raises(InputError, match=r"holds the layers of a network: .*open_layers"):
        open_assembly(store)


# Damage


def chunk(store, layer="0", row=2):
    return layer_path(store, read_record(store), layer) / "values" / "c" / str(row) / "0"


def cut(file):
    file.write_bytes(file.read_bytes()[:-7])


def turn(file):
    content = bytearray(file.read_bytes())
    content[9] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, turn])
def test_damage_after_opening_is_noticed_when_read(toy, stimuli, store, damage):
    target = extract(toy, stimuli, ["4"])["4"]
    opened = extract(toy, stimuli, ["0"], store=store)["0"]
    damage(chunk(store))
    with pytest.raises(InputError, match=r"cannot be read from disk .*damaged or cut short"):
        opened.fingerprint()
    with pytest.raises(InputError, match="cannot be read from disk"):
        cv.score(opened, target, metrics=["linear"], ceiling=None)


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_lost_and_cut_chunks_are_noticed_and_extracted_anew(toy, stimuli, store, damage):
    expected = extract(toy, stimuli, LAYERS, batch_size=8)
    extract(toy, stimuli, LAYERS, batch_size=8, store=store)
    damage(chunk(store, "2"))
    with pytest.raises(InputError, match=r"not complete \('2' has 32 of 80 stimuli\)"):
        open_layers(store)
    seen = Seen()
    assert_same(extract(toy, stimuli, LAYERS, batch_size=8, store=store), expected)
    assert seen.count == PROBES + N - 2 * HEIGHT


def test_a_damaged_layer_is_extracted_anew(toy, stimuli, store):
    expected = extract(toy, stimuli, LAYERS, store=store)
    folder = layer_path(store, read_record(store), "2")
    (folder / "values" / "zarr.json").write_text("{")
    assert_same(extract(toy, stimuli, LAYERS, store=store), expected)


@pytest.mark.parametrize("what", ["values", "end of values", "label", "checksums"])
def test_damage_to_what_was_finished_is_extracted_anew(toy, stimuli, store, what):
    expected = extract(toy, stimuli, ["0"])
    interrupted(toy, stimuli, store, 50, layers=["0"])
    folder = layer_path(store, read_record(store), "0")
    file, place = {
        "values": (chunk(store, row=1), 9),
        "end of values": (chunk(store, row=1), -2),
        "label": (folder / "channel" / "c" / "0", -9),
        "checksums": (folder / "values" / "checksums", 5),
    }[what]
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    found = extract(toy, stimuli, ["0"], store=store)
    np.testing.assert_array_equal(found["0"].data, expected["0"].data)
    assert (
        found["0"]
        .data.drop_vars("stimulus_sha256")
        .identical(expected["0"].data.drop_vars("stimulus_sha256"))
    )


def test_a_disk_that_becomes_full_is_reported_and_the_store_continued(
    toy, stimuli, store, monkeypatch
):
    expected, write = extract(toy, stimuli, ["0"]), into_store.write_rows

    def full(path, start, values):
        if start == 2 * HEIGHT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, start, values)

    monkeypatch.setattr(into_store, "write_rows", full)
    with pytest.raises(InputError, match=r"layers\.zarr could not be written: there is no space"):
        extract(toy, stimuli, ["0"], store=store)
    monkeypatch.setattr(into_store, "write_rows", write)
    seen = Seen()
    found = extract(toy, stimuli, ["0"], store=store)
    assert seen.count == N - 2 * HEIGHT + PROBES
    np.testing.assert_array_equal(found["0"].data, expected["0"].data)


@pytest.mark.parametrize("finished", [True, False])
def test_layers_that_were_exchanged_are_extracted_anew(toy, stimuli, store, finished):
    layers, expected = ["0", "2"], extract(toy, stimuli, ["0", "2"])
    if finished:
        extract(toy, stimuli, layers, store=store)
    else:
        interrupted(toy, stimuli, store, 50, layers=layers)
    one, other = (layer_path(store, read_record(store), layer) for layer in layers)
    one.rename(store / "one")
    other.rename(one)
    (store / "one").rename(other)
    with pytest.raises(InputError, match="'0' has 0 of 80 stimuli, '2' has 0"):
        open_layers(store)
    for found in (extract(toy, stimuli, layers, store=store), open_layers(store)):
        for layer in layers:
            assert found[layer].units.tolist() == expected[layer].units.tolist()
            np.testing.assert_array_equal(found[layer].data, expected[layer].data)


def test_a_chunk_of_another_layer_is_extracted_anew(stimuli, store):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Sigmoid())
    net, layers = Network("toy", module, halved), ["1", "2"]
    expected = extract(net, stimuli, layers, store=store)
    expected = {layer: one.data.values for layer, one in expected.items()}
    chunk(store, "1", 0).write_bytes(chunk(store, "2", 0).read_bytes())
    found = extract(net, stimuli, layers, store=store)
    for layer in layers:
        np.testing.assert_array_equal(found[layer].data, expected[layer])


def test_the_same_stimuli_in_another_order_are_told(toy, stimuli, store):
    extract(toy, stimuli, ["0"], store=store)
    turned = stimuli.in_order(list(stimuli.names[::-1]))
    with pytest.raises(InputError, match="asked for 80, in another order"):
        extract(toy, turned, ["0"], store=store)


@pytest.mark.parametrize("where", ["record", "label"])
def test_damage_to_names_is_noticed(toy, stimuli, store, where):
    extract(toy, stimuli, ["0"], store=store)
    file = layer_path(store, read_record(store), "0") / "unit" / "c" / "0"
    file = store / "zarr.json" if where == "record" else file
    content = file.read_bytes()
    file.write_bytes(content.replace(b"07.png", b"08.png") if where == "record" else content[::-1])
    assert file.read_bytes() != content
    with pytest.raises(InputError, match=r"damaged|not complete"):
        open_layers(store)


def test_a_saved_assembly_that_lost_a_chunk(tmp_path):
    values = np.zeros((N, 30), "f4")
    path = Assembly.from_array(values, stimuli=[f"{i}" for i in range(N)]).save(tmp_path / "a.zarr")
    assert open_assembly(path).data.values.any() == np.False_
    (path / "values" / "c" / "1" / "0").unlink()
    with pytest.raises(InputError, match=r"a.zarr has lost 1 of its 10 chunks: copy or make"):
        open_assembly(path)


def test_chunks_of_nothing_but_nan_are_no_lost_chunks(tmp_path):
    values = np.full((N, 30), np.nan)
    path = Assembly.from_array(values, stimuli=[f"{i}" for i in range(N)]).save(tmp_path / "a.zarr")
    assert np.isnan(open_assembly(path).data.values).all()


def test_activations_that_are_nan_are_kept_as_in_memory(toy, stimuli, store):
    toy.module[0].weight.data[:] = np.nan  # whole chunks of it
    found = extract(toy, stimuli, ["0"], store=store)["0"]
    np.testing.assert_array_equal(found.data, extract(toy, stimuli, ["0"])["0"].data)
    open_layers(store)


# Names of layers


class Echo(nn.Module):
    def forward(self, x):
        return x.flatten(1)


def test_names_of_layers_do_not_lead_out_of_the_store(stimuli, store):
    names = ["/etc/x", "a/b", "A", "a", "..\\up", "ü" * 60, "c:con", "x" * 300]
    module = nn.ModuleDict()
    module.forward = lambda x: [part(x) for part in module.values()]
    for name in names:
        if "." not in name:
            module[name] = Echo()
    network = Network("odd", module, halved)
    known = list(network.layers)
    found = extract(network, stimuli, known, store=store)
    assert list(open_layers(store)) == list(found) == known
    assert len(list(store.iterdir())) == len(known) + 1
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize("name", ["..", "../../x", "/x", "\\x", ".", "", "a" * 1000, "nul\0"])
def test_a_record_cannot_lead_out_of_the_store(store, name):
    record = layer_store.StoreRecord({"stimuli": ["a"]}, 1, (), {"first": 0, name: 0})
    folder = layer_path(store, record, name)
    assert folder.parent == store
    assert folder.name.startswith("001-")
    assert "\0" not in folder.name
    assert len(folder.name) < 100


# Fingerprints of networks


def test_fingerprint_tells_of_weights_and_architecture(toy):
    base = toy.fingerprint()
    assert made().fingerprint() == base
    assert Network("other name", toy.module, halved).fingerprint() == base
    assert made(seed=1).fingerprint() != base
    other = copy.deepcopy(toy)
    other.module[1] = nn.ELU()
    assert other.weights_sha256() == toy.weights_sha256()
    assert other.fingerprint() != base

    class Sequential(nn.Sequential):
        pass

    assert Network("toy", Sequential(*toy.module), halved).fingerprint() != base


def test_fingerprint_tells_of_functions_and_settings():
    class Net(torch.nn.Module):
        def __init__(self, act, factor):
            super().__init__()
            self.act, self.factor = act, factor

        def forward(self, x):
            return self.act(x) * self.factor

    nets = [Net(torch.relu, 1.0), Net(torch.tanh, 1.0), Net(torch.relu, 2.0)]
    nets += [Net(lambda x: x + 1, 1.0), Net(lambda x: x * x, 1.0)]
    assert len({Network("net", net, halved).fingerprint() for net in nets}) == len(nets)


def test_fingerprint_does_not_tell_of_places_in_memory():
    class Function(nn.Module):
        def __init__(self):
            super().__init__()
            self.marker = object()

        def extra_repr(self):
            return repr(self.marker)

    assert " at 0x" in repr(Function())
    kept = [Network("f", Function(), halved) for _ in range(3)]
    assert len({repr(network.module) for network in kept}) == 3
    assert len({network.fingerprint() for network in kept}) == 1


# Scores


def test_a_score_from_a_store_is_that_from_memory(toy, stimuli, store):
    values = np.random.default_rng(1).normal(size=(N, 5, 2))
    recording = Assembly.from_array(
        values, stimuli=stimuli.names, dims=("stimulus", "unit", "repeat"), name="V4"
    )
    metrics = ["linear", "procrustes", "soft-matching"]
    one, other = (
        cv.score(layers, recording, metrics=metrics, ceiling=None)
        for layers in (
            extract(toy, stimuli, LAYERS, spatial="flatten"),
            extract(toy, stimuli, LAYERS, spatial="flatten", store=store),
        )
    )
    xr.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    assert one.attrs == other.attrs


def test_stimuli_of_other_shapes_are_named(images, store):
    sizes = Stimuli.from_arrays([images[0], images[1][:5]], ["a.png", "b.png"])
    with pytest.raises(InputError, match=r"'b.png' is float32 \(3, 5, 7\) when preprocessed, and"):
        extract(made(), sizes, ["0"], store=store)
