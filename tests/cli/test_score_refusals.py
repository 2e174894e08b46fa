"""``convergent score``: how bad input is answered."""

import os
import zipfile

import pytest

import convergent as cv
from convergent.base.lock import held
from convergent.cli.inputs import check_images, recording_named
from convergent.data.contents import with_contents


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "efficientnet-light0"}, "'efficientnet-light0': did you mean 'efficient"),
        ({"network": "tinynetwrk:make"}, "there is no network tinynetwrk:make"),
        ({"network": "tinynetwork:mak"}, "has no attribute 'mak'"),
        ({"layers": "0,22"}, "there is no layer of tiny '22': did you mean '2'"),
        ({"metrics": "linear,procrustean"}, "'procrustean': did you mean 'procrustes'"),
        ({"data": "cowly2023"}, "no data set 'cowly2023': did you mean 'cowley2023'"),
        ({"data": "cowley2023"}, "cowley2023 has 12 sessions: give one"),
        ({"data": "cowley2023/210326"}, "no session of cowley2023 '210326': did you mean '210325'"),
        ({"data": "virtual-cortex/1"}, "virtual-cortex has no sessions, but session '1'"),
        ({"data": "nosuch.nc"}, "there is no nosuch.nc"),
        ({"data": "/no/such.h5"}, "there is no file /no/such.h5"),
        ({"stimuli": "nosuch"}, "no data set, folder or zip 'nosuch'"),
        ({"spatial": "centre"}, "'centre': did you mean 'center'"),
        ({"spatial": "positions-0"}, "N of 'positions-N' is a whole number"),
        ({"spatial": "positions-2"}, "recording.nc are whole images: use another"),
        ({"ceiling": "split-halves"}, "no ceiling 'split-halves': did you mean 'split-half'"),
        ({"by": "regoin"}, "no coordinate 'regoin': did you mean 'region'"),
        ({"group": "scenes"}, "'scenes': did you mean 'scene'"),
        ({"folds": 20}, "36 stimuli cannot be split in 20 folds"),
        ({"batch_size": 0}, "--batch-size 0: give"),
        ({"device": "abacus"}, "cannot use the device 'abacus'"),
        ({"device": "meta"}, "the device 'meta' of torch holds no numbers: try 'cpu'"),
        ({"over": "stimulus"}, "over holds one or both of 'stimuli'"),  # without resamples too
        ({"refits": -1}, "--refits -1: give a whole number from 2 up"),
        ({"seed": "x"}, "unable to parse string as an integer. See"),
        ({"network": "tinynetwork:make=nosuch.pt"}, "there is no checkpoint nosuch.pt"),
    ],
)
def test_bad_input_is_refused_in_a_line(score, tmp_path, options, message, all_files):
    assert score(**options).is_refused(message)
    assert not all_files(tmp_path)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ("other.nc", "share 0 of 36 stimuli"),
        ("means.nc", "needs at least two repeats"),
        ("tinynetwork.py", "no data set"),
    ],
)
def test_recording_that_does_not_fit_is_refused_in_a_line(score, lab, recording, message):
    assert score(data=lab / recording).is_refused(message)


def test_images_of_a_recording_are_missing(run, lab):
    done = run("score", "--data", lab / "recording.nc")
    assert done.is_refused("the images that go with")
    assert "add --stimuli FOLDER or ZIP" in done.err


def test_images_of_another_session_are_refused_before_the_network_runs(score, lab, tmp_path):
    images = cv.Stimuli.from_folder(lab / "images")
    recording = cv.open(lab / "recording.nc")
    known = tmp_path / "known.nc"
    cv.Assembly(with_contents(recording.data, images)).save(known)
    check_images("mean", cv.Folds(3), images, [recording_named(str(known))])  # those of the session
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        names = sorted(image.name for image in (lab / "images").iterdir())
        for name, follower in zip(names, [*names[1:], names[0]], strict=True):
            archive.write(lab / "images" / follower, name)
    done = score(data=known, stimuli=other)
    assert done.is_refused("shown different images under the same names: 36 of 36 stimuli differ")
    assert "activations" not in done.err


def test_image_that_does_not_open(score, lab, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for image in (lab / "images").iterdir():
        (folder / image.name).write_bytes(image.read_bytes())
    (folder / "07.png").write_bytes(b"")
    assert score(stimuli=folder).is_refused("stimulus '07.png' does not open as an image")


def test_unwritable_folder(score, tmp_path):
    (tmp_path / "file").write_text("before")
    code, _, err = score("--json", out=tmp_path / "file" / "out")
    assert code == 2
    assert f"error: {tmp_path / 'file' / 'out' / 'study'} could not be written: " in err
    assert "or choose another folder" in err
    assert "Traceback" not in err
    assert (tmp_path / "file").read_text() == "before"


def test_a_folder_that_another_command_writes_to_is_refused(score, tmp_path, all_files):
    study = tmp_path / "study"
    study.mkdir()
    with held(study, "convergent compare"):
        before = all_files(tmp_path)
        done = score(out=tmp_path)
        assert done.is_refused(f"{study} is in use by convergent compare (process {os.getpid()}")
        assert all_files(tmp_path) == before
    assert score(out=tmp_path).code == 0
