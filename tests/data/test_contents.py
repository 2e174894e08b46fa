"""Stimuli are known by name and content: other images under the same names are refused."""

import io
import zipfile
from dataclasses import replace

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
from cases import to_tensor
from PIL import Image
from torch import nn

import convergent as cv
from convergent import Assembly, InputError, Network, Stimuli, align
from convergent.data.pictures import Pictures

N = 24
NAMES = [f"image{i:04d}.png" for i in range(N)]
OTHER = "under the same names: 24 of 24 stimuli differ in content"
LABEL = "stimulus_sha256"


def pixels(session):
    return np.random.default_rng(session).integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Sessions 0 and 1 as folders, zips and arrays, with the same names."""
    root, found = tmp_path_factory.mktemp("sessions"), {}
    for session in (0, 1):
        files = {name: png(image) for name, image in zip(NAMES, pixels(session), strict=True)}
        (folder := root / f"s{session}").mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        with zipfile.ZipFile(root / f"s{session}.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"stim/{name}", content)
        found["folder", session] = lambda folder=folder: Stimuli.from_folder(folder)
        found["zip", session] = lambda s=session: Stimuli.from_zip(root / f"s{s}.zip")
        found["arrays", session] = lambda s=session: Stimuli.from_arrays(list(pixels(s)), NAMES)
    return found


@pytest.fixture(scope="module")
def toy():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3))
    return Network("toy", module, to_tensor)


@pytest.fixture
def layers(toy, places):
    return lambda kind, session: cv.extract(toy, places[kind, session](), ["0", "2"])


def recording(stimuli, name="V4"):
    rng = np.random.default_rng(5)
    values = rng.standard_normal((N, 4, 1)) + 0.3 * rng.standard_normal((N, 4, 3))
    return Assembly.from_array(
        values, dims=("stimulus", "unit", "repeat"), stimuli=stimuli, name=name
    )


@pytest.mark.parametrize(("ours", "theirs"), [("folder", "zip"), ("arrays", "zip")])
def test_layers_of_two_sessions_are_not_compared(layers, ours, theirs):
    one, same, other = layers(ours, 0), layers(theirs, 0), layers(theirs, 1)
    compared = cv.compare(one["0"], same["0"], folds=cv.Folds(3))
    assert float(compared["value"].sel(measure="linear").squeeze()) > 0.99
    with pytest.raises(InputError, match=OTHER):
        cv.compare(one, other, folds=cv.Folds(3))


@pytest.mark.parametrize(
    ("ours", "theirs"), [("folder", "arrays"), ("zip", "folder"), ("arrays", "zip")]
)
def test_a_recording_of_another_session_is_refused(places, layers, ours, theirs):
    session = recording(places[ours, 0]())
    own, other = layers(theirs, 0), layers(theirs, 1)
    settings = {"metrics": "linear", "folds": cv.Folds(3)}
    cv.score(own, session, **settings)
    with pytest.raises(InputError, match=rf"0 and V4 were shown different images {OTHER}"):
        cv.score(other, session, **settings)
    # by name alone, as before, where one side has no hash
    bare = Assembly(session.data.drop_vars(LABEL))
    found = cv.score(other, bare, **settings)
    same = recording(NAMES)
    np.testing.assert_array_equal(found["r"], cv.score(other, same, **settings)["r"])


def test_few_files_are_decoded_for_responses_alone(tmp_path, monkeypatch):
    names = [f"{i:04d}.png" for i in range(150)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(png(np.full((2, 2), i, np.uint8)))
    decoded, original = [], Pictures.from_file

    def counting(self, name, content):
        decoded.append(name)
        return original(self, name, content)

    monkeypatch.setattr(Pictures, "from_file", counting)
    stimuli = Stimuli.from_folder(tmp_path)
    session = Assembly.from_array(np.eye(150), stimuli=stimuli.in_order(names))
    labels = session.data[LABEL].values.tolist()
    assert 0 < len(decoded) <= 64
    assert [name for name, label in zip(names, labels, strict=True) if " " in label] == decoded
    assert len({label.split()[0] for label in labels}) == 150
    # layers of arrays have no files, and a few pixels are enough to tell another session
    images = [np.asarray(stimuli[name]) for name in names]
    align(session, Assembly.from_array(np.eye(150), stimuli=Stimuli.from_arrays(images, names)))
    other = Stimuli.from_arrays([image + 1 for image in images], names)
    with pytest.raises(InputError, match="of 150 stimuli differ in content"):
        align(session, Assembly.from_array(np.eye(150), stimuli=other))
    # files that were saved anew are the same, unless few are
    for i, name in enumerate(names):
        Image.fromarray(np.full((2, 2), i, np.uint8)).save(tmp_path / name, compress_level=0)
    copies = Assembly.from_array(np.eye(150), stimuli=Stimuli.from_folder(tmp_path))
    align(session, copies)
    one = copies.data[LABEL].copy()
    one[1:] = labels[1:]
    one[1] = copies.data[LABEL].values[1]
    one[0] = labels[0]
    assert " " not in str(one.values[1])
    with pytest.raises(InputError, match=r"1 of 150 stimuli differ in content \('0001.png'\)"):
        align(session, Assembly(copies.data.assign_coords({LABEL: one})))


def test_what_was_opened_before_makes_no_difference(places):
    stimuli = places["zip", 0]()
    before = recording(stimuli)
    list(stimuli)
    after = recording(stimuli)
    assert before.data[LABEL].values.tolist() == after.data[LABEL].values.tolist()
    assert stimuli.content(NAMES[0]) == before.data[LABEL].values[0]


def test_images_saved_anew_without_loss_are_the_same(tmp_path, toy, layers):
    for name, image in zip(NAMES, pixels(0), strict=True):
        Image.fromarray(image).save(tmp_path / name, compress_level=0)
    copies = cv.extract(toy, Stimuli.from_folder(tmp_path), ["0"])["0"]
    own = layers("folder", 0)["0"]
    files = [a.data[LABEL].values[0].split()[0] for a in (own, copies)]
    assert files[0] != files[1]
    assert len(align(own, copies)[0].stimuli) == N


def test_labels_follow_the_stimuli(tmp_path, places):
    stimuli = places["folder", 0]()
    known = {name: stimuli.content(name) for name in NAMES}
    session = recording(stimuli)
    some = session.data.isel(stimulus=[5, 2, 9])
    parts = [
        session.average(),
        session.halves()[0],
        session.where(unit=["unit0"]),
        session.by("unit")["unit1"],
        Assembly(some),
        Assembly(xr.concat([some, session.data.isel(stimulus=[0])], "stimulus")),
        Assembly(session.data - session.data.mean("stimulus")),
        Assembly(session.data.copy(data=dask.array.from_array(session.data.values))),
        cv.rotated(session),
        cv.shuffled(session),
        align(Assembly(some), Assembly(some))[0],
    ]
    for i, suffix in enumerate((".nc", ".zarr")):
        session.save(tmp_path / f"{i}{suffix}")
        parts.append(cv.open(tmp_path / f"{i}{suffix}"))
    for part in parts:
        labels = part.data[LABEL].values
        assert [known[name] for name in part.stimuli] == labels.tolist()


@pytest.mark.parametrize("spatial", ["mean", "flatten", "positions-2"])
def test_stores_keep_the_labels(tmp_path, toy, places, spatial):
    stimuli = places["folder", 0]()
    store = tmp_path / "layers.zarr"
    found = cv.extract(toy, stimuli, ["0"], spatial=spatial, store=store)["0"]
    again = cv.open_layers(store)["0"]
    alone = cv.extract(toy, stimuli, ["0"], spatial=spatial)["0"]
    expected = alone.data[LABEL].values.tolist()
    for one in (found, again):
        assert one.data[LABEL].values.tolist() == expected
        assert one.data.dtype == np.float32
    image = alone.data["image"].values if spatial == "positions-2" else alone.stimuli
    assert expected == [stimuli.content(name) for name in image]
    with pytest.raises(InputError, match="were shown different images"):
        cv.compare(
            again, cv.extract(toy, places["zip", 1](), ["0"], spatial=spatial), folds=cv.Folds(3)
        )


def test_a_study_finds_what_it_kept(tmp_path, toy, places):
    first = cv.extract(toy, places["folder", 0](), ["0"], study=cv.Study(tmp_path))["0"]
    second = cv.extract(toy, places["folder", 0](), ["0"], study=cv.Study(tmp_path))["0"]
    assert first.data[LABEL].values.tolist() == second.data[LABEL].values.tolist()
    assert first.fingerprint() == Assembly(second.data.drop_vars(LABEL)).fingerprint()


def test_experiments_refuse_other_images_and_accept_distorted_ones(toy, places):
    def steps(session):
        stimuli = places["arrays", session]()
        return {step: cv.extract(toy, stimuli, ["0", "2"]) for step in (0.0, 1.0)}

    def levels(kind, session):
        stimuli = places[kind, session]()
        return {
            level: cv.extract(toy, cv.distort(stimuli, "contrast", level), ["0", "2"])
            for level in (100, 30)
        }

    settings = {"metrics": "linear", "folds": cv.Folds(3)}
    with pytest.raises(InputError, match=OTHER):
        cv.trajectory({"a": steps(0), "b": steps(1)}, **settings)
    with pytest.raises(InputError, match=OTHER):
        cv.hierarchy(steps(0)[0.0], steps(1)[0.0], **settings)
    with pytest.raises(InputError, match=OTHER):
        cv.shift(levels("arrays", 0), levels("arrays", 1), **settings)
    cv.shift(levels("arrays", 0), levels("folder", 0), **settings)


def test_distorted_images_in_folders_are_no_other_images(toy, places):
    def levels():  # files of their own at each level, with the names of the originals
        return {
            name: cv.extract(toy, places["folder", session](), ["0", "2"])
            for session, name in enumerate(("original", "blurred"))
        }

    cv.shift(levels(), levels(), metrics="linear", folds=cv.Folds(3))


def test_distorted_images_are_known_by_their_original(places):
    stimuli = places["folder", 0]()
    blurred = cv.distort(places["folder", 0](), "low-pass", 3).map(np.asarray)
    for opened in (False, True):
        for name in NAMES:
            expected = stimuli.content(name, opened=opened)
            assert blurred.content(name, opened=opened) == expected
            assert ("pixels:" in expected) == opened
    assert np.ptp(np.asarray(blurred[0])) < np.ptp(np.asarray(stimuli[0]))


def test_distorted_drawings_are_known_by_the_drawing():
    drawn = cv.drawings(3)
    blurred = cv.distort(cv.drawings(3), "low-pass", 3)
    for name in drawn.names:
        assert blurred.content(name) == drawn.content(name) != ""
    assert len({drawn.content(name) for name in drawn.names}) == 3


def test_some_other_images_are_counted_and_named(places):
    one = recording(places["zip", 0]())
    label = one.data[LABEL].copy()
    label[[3, 7]] = "file:0000 pixels:0000"
    other = Assembly(one.data.assign_coords({LABEL: label}).rename("IT"))
    with pytest.raises(InputError, match=r"V4 and IT .* 2 of 24 .*'image0003.png', 'image0007"):
        align(one, other)


def test_unknown_and_unlike_hashes_refuse_nothing(places):
    one = recording(places["zip", 0]())
    for label in ("", "crc:0000"):
        other = one.data.assign_coords({LABEL: ("stimulus", [label] * N)})
        assert len(align(one, Assembly(other))) == 2


def test_a_loader_that_renames_by_itself(places):
    stimuli = places["zip", 0]()
    within = replace(
        stimuli,
        names=tuple(f"s0/{name}" for name in stimuli.names),
        read=lambda name: stimuli.read(name.removeprefix("s0/")),
        table=stimuli.table.rename(index=lambda name: f"s0/{name}"),
    )
    assert recording(within).data[LABEL].values.tolist() == [""] * N


def test_simulated_recordings_have_the_images_of_the_features(layers):
    features = layers("arrays", 0)["2"]
    simulated = cv.simulate.recording(features, 3, repeats=2, inputs=3)
    assert simulated.data[LABEL].values.tolist() == features.data[LABEL].values.tolist()
