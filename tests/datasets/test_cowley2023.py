"""Against the recordings themselves, where CONVERGENT_DATA holds them."""

import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convergent import InputError
from convergent.data import cards, catalog

CARD = catalog.card("cowley2023")
HERE = ("210224", "210305", "210325")  # sessions that come with the project's data


@pytest.fixture(params=HERE)
def session(request):
    return needs(request.param)


def needs(session):
    if not catalog.present(CARD, session):
        pytest.skip(f"cowley2023/{session} is not below {catalog.data_root()}: set CONVERGENT_DATA")
    return session


def test_card_tells_subjects_apart():
    subjects = {name: session.subject for name, session in CARD.sessions.items()}
    assert len(subjects) == 12
    assert {name for name in subjects if subjects[name] == "WE"} == {
        name for name in subjects if name.startswith("1909")
    }
    assert [name for name in subjects if subjects[name] == "RA"] == ["210621"]
    assert CARD.subjects == ("WE", "PE", "RA")


def test_card_counts_fit_the_size_of_the_files():
    for session in CARD.sessions.values():
        values = session.stimuli * session.units * session.repeats
        assert CARD.files[session.files[1]].size == 128 + 8 * values


def test_session_is_as_the_card_says(session):
    stimuli, assembly = catalog.load("cowley2023", session)
    expected = CARD.sessions[session]
    assert len(stimuli) == expected.stimuli
    assert assembly.data.sizes["stimulus"] == expected.stimuli
    assert assembly.data.sizes["unit"] == expected.units
    assert assembly.repeats == expected.repeats
    assert assembly.data.dtype == np.float64
    assert assembly.name == "V4"
    assert set(assembly.data["region"].values) == {"V4"}
    assert set(assembly.data["subject"].values) == {expected.subject}
    assert set(assembly.data["session"].values) == {session}
    assert assembly.data.attrs["session"] == session


def test_image_i_is_column_i(session):
    stimuli, assembly = catalog.load("cowley2023", session)
    images, responses = (
        catalog.data_root() / "cowley2023" / f for f in CARD.sessions[session].files
    )
    counts = np.load(responses)
    np.testing.assert_array_equal(assembly.data[137, 5], counts[5, 137])
    assert assembly.stimuli.tolist() == list(stimuli.names) == sorted(stimuli.names)
    assert stimuli.names[137] == f"{session}/image0138.jpg"
    with zipfile.ZipFile(images) as archive, archive.open("image0138.jpg") as file:
        shown = np.asarray(Image.open(file).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(stimuli[137]), shown)


def test_names_differ_between_sessions():
    loaded = [catalog.load("cowley2023", needs(name))[1] for name in HERE]
    for names in ([a.stimuli for a in loaded], [a.units for a in loaded]):
        together = np.concatenate(names)
        assert len(set(together)) == len(together)


def test_mean_over_trials_is_the_published_mean():
    _, assembly = catalog.load("cowley2023", needs("210325"))
    path = catalog.data_root() / "cowley2023/responses_repeat_averaged/responses_210325.npy"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    np.testing.assert_allclose(assembly.average().data.T, np.load(path), rtol=1e-12)


def test_images_and_responses_that_disagree(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path))
    folder = tmp_path / "cowley2023"
    folder.mkdir()
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i in range(3):
            image = io.BytesIO()
            Image.new("RGB", (2, 2)).save(image, "png")
            archive.writestr(f"{i}.png", image.getvalue())
    np.save(folder / "responses.npy", np.ones((2, 4)))
    card = dataclasses.replace(
        CARD,
        sessions={"day": cards.Session("M", ("images.zip", "responses.npy"))},
        files={path.name: described(path) for path in folder.iterdir()},
    )
    with pytest.raises(InputError, match=r"day has 3 images .* but responses to 4"):
        catalog.load(card, "day")


def described(path: Path):
    content = path.read_bytes()
    return cards.File(hashlib.sha256(content).hexdigest(), len(content))
