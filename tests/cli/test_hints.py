"""Messages speak the language of the command line."""

import warnings

import pytest
from typer.main import get_command

import convergent as cv
from convergent import cli
from convergent.cli.hints import spoken

COMMANDS = get_command(cli.app).commands


def options_of(name):
    return {one.name: one.opts[0] for one in COMMANDS[name].params}


@pytest.mark.parametrize(
    ("command", "message", "expected"),
    [
        ("score", "use layers=['a', 'b.c']", "use --layers a,b.c"),
        ("score", "Leave it out (layers=), or", "Leave it out (--layers), or"),
        ("score", "use spatial='positions-4' for", "use --spatial positions-4 for"),
        ("score", "batch_size=0: give", "--batch-size 0: give"),
        ("score", "or use ceiling=None.", "or use --ceiling none."),
        (
            "score",
            "score again with bootstrap=Bootstrap(1000).",
            "score again with --bootstrap 1000.",
        ),
        ("score", "shuffle=Shuffle(20), x", "--shuffle 20, x"),
        ("score", "Bootstrap(over='units'): over", "--over units: over"),
        ("score", "Folds(group='scene'): group", "--group scene: group"),
        ("score", "bootstrap refits=1: give", "--refits 1: give"),
        ("score", "bootstrap samples=1: give", "--bootstrap 1: give"),
        ("score", "metrics are ['linear', 'linear']: give", "--metrics linear,linear: give"),
        ("score", "instead of pretrained=False.", "instead of --untrained."),
        ("features", "k=9: of 5 units", "--clusters 9: of 5 units"),
        ("compare", "early=1 is", "early=1 is"),  # it has no such option
        # names of the user are left alone
        ("score", "there is no layer 'seed=5'", "there is no layer 'seed=5'"),
        ("score", "there is no file x/layers=[a].nc", "there is no file x/layers=[a].nc"),
        ("score", "tiny:make=folds=3.pt is", "tiny:make=folds=3.pt is"),
        ("score", "folds=Folds(5, order='name')", "Folds(5, order='name')"),
    ],
)
def test_settings_are_options(command, message, expected):
    assert spoken(message, options_of(command)) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "--folds=1"), "error: --folds 1: give a whole number from 2 up"),
        (("score", "--bootstrap=1"), "error: --bootstrap 1: give a whole number from 2 up"),
        (("score", "--metrics=linear,linear"), "error: --metrics linear,linear: give at least one"),
        (("score", "--data=cowley2023"), "12 sessions: give one after a slash, as in NAME/SESSION"),
        (("hierarchy", "small-plain", "small-plain", "--refits=1"), "error: --refits 1: give"),
    ],
)
def test_errors_speak_of_options(run, words, message):
    done = run(*words)
    assert done.is_refused("")
    assert message in done.err


def test_a_network_without_weights(run):
    done = run("compare", "small-plain", "small-plain", "--stimuli=drawings")
    assert done.is_refused("convergent train small-plain")
    assert "as NAME=FILE." in done.err
    assert "pretrained" not in done.err


def test_a_ceiling_without_repeats(score, lab):
    done = score(data=lab / "means.nc")
    assert done.is_refused("for a network use --ceiling self; or use --ceiling none.")


def test_warnings_speak_of_options(run, monkeypatch):
    def warned(*_given, **_settings):
        warnings.warn("use images=5", stacklevel=1)
        raise cv.InputError("stopped")

    monkeypatch.setattr(cv, "train", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert "warning: use --images 5\n" in run("train", "small-plain").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "--data=foo.nc"), "there is no foo.nc"),
        (("score", "--data=foo.npy"), "there is no file foo.npy"),
        (("score", "--stimuli=foo.nc"), "there is no file foo.nc"),
        (("score", "--stimuli=foo.zip"), "there is no file foo.zip"),
        (("score", "--network=foo.pt"), "there is no file foo.pt"),
        (("score", "--network=small-plain=foo.pt"), "there is no checkpoint foo.pt"),
        (("compare", "foo.nc", "small-plain"), "there is no foo.nc"),
        (("compare", "foo.npy", "small-plain"), "there is no file foo.npy"),
        (("features", "foo.zarr", "bar.nc"), "there is no foo.zarr"),
        (("hierarchy", "foo.nc", "small-plain"), "there is no file foo.nc"),
        (("trajectory", "small-plain=a", "small-plain=b"), "there is no folder a"),
        (("networks", "foo.toml"), "there is no file foo.toml"),
    ],
)
def test_a_missing_file_is_a_missing_file(run, words, message):
    assert run(*words).is_refused(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("score", "--data=own.npy"),
            "read it in Python (convergent.formats, or Assembly.from_array), and save",
        ),
        (
            ("compare", "own.npy", "small-plain"),
            "read it in Python (convergent.formats, or Assembly.from_array), and save",
        ),
        (("score", "--network=own.pt"), "as in NAME=own.pt"),
        (("hierarchy", "own.nc", "small-plain"), "compare and score take saved assemblies"),
        (("score", "--stimuli=own.png"), "a data set, a folder or a zip of images is needed here"),
    ],
)
def test_a_file_of_another_kind(run, tmp_path, words, message):
    for ending in ("npy", "pt", "nc", "png"):
        (tmp_path / f"own.{ending}").write_bytes(b"")
    assert run(*words).is_refused(message)


@pytest.mark.parametrize(
    "words",
    [
        ("score", "--network=a", "--network=b"),
        ("score", "--layers", "a", "--layers", "b"),
        ("compare", "a", "b", "--where=x=1", "--where=y=2"),
        ("train", "small-plain", "--seeds=0", "--seeds=1"),
        ("findings", "--out=a", "--out=b"),
        ("datasets", "--json", "--json"),
    ],
)
def test_an_option_given_twice_is_refused(run, words):
    option = next(word for word in words if word.startswith("--")).partition("=")[0]
    assert run(*words).is_refused(f"{option} is given 2 times: give it once")
