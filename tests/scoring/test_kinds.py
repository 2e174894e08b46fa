"""Results of each question: what is for other kinds refuses them, and files keep them."""

import numpy as np
import pytest
import xarray as xr
from cases import image_names, labelled

import convergent as cv

FEATURES = {
    "correlations": cv.features.correlations,
    "match_units": cv.features.match_units,
    "clusters": cv.features.clusters,
    "sparse_prediction": cv.features.sparse_prediction,
}
OF_SCORES = {
    "summary": cv.summary,
    "differences": cv.differences,
    "best": cv.best,
    "against": lambda result: cv.against(result, [result]),
    "plot.scores": cv.plot.scores,
    "report": lambda result: cv.report(result, "report.html"),
}
OF_OTHERS = {
    "hierarchy": cv.plot.hierarchy,
    "shift": cv.plot.shift,
    "trajectory": cv.plot.trajectory,
    "match_units": cv.plot.matches,
    "correlations": cv.plot.activation_spectra,
    "clusters": cv.plot.clusters,
    "sparse_prediction": cv.plot.sparse_prediction,
    "partial_matching": cv.plot.partial_matching,
    "local_or_distributed": cv.plot.locality,
}


@pytest.fixture(scope="module")
def results():
    """A small result of each kind."""
    shared = np.random.default_rng(0).standard_normal((40, 6))

    def network(seed):
        rng = np.random.default_rng(seed)
        return {
            name: labelled(shared @ rng.standard_normal((6, 4)) + rng.normal(size=(40, 4)), name)
            for name in ("early", "late")
        }

    one, two = network(1), network(2)
    few = {"metrics": "linear", "folds": cv.Folds(3)}
    bootstrap = cv.Bootstrap(10, refits=2)
    found = {
        "score": cv.score(one, two, ceiling=None, bootstrap=bootstrap, **few),
        "compare": cv.compare(one, two, folds=cv.Folds(3)),
        "hierarchy": cv.hierarchy(one, two, **few),
        "shift": cv.shift({"plain": one, "blurred": two}, {"plain": two, "blurred": one}, **few),
        "trajectory": cv.trajectory({"r": {0.0: one, 1.0: two}, "s": {0.0: two, 1.0: one}}, **few),
    }
    for name, ask in FEATURES.items():
        found[name] = ask(one["early"], two["early"])
    return found


def made_by(kind):
    return f"{'features' if kind in FEATURES else 'convergent'}.{kind}"


@pytest.mark.parametrize("function", OF_SCORES)
def test_what_is_for_scores_refuses_other_results(results, function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    OF_SCORES[function](results["score"])
    for kind in results.keys() - {"score"}:
        with pytest.raises(cv.InputError) as found:
            OF_SCORES[function](results[kind])
        said = f"{function} is for what convergent.score returned, and this is a result of "
        assert str(found.value).startswith(f"{said}{made_by(kind)}: ")


@pytest.mark.parametrize("kind", OF_OTHERS)
def test_what_is_for_another_question_refuses_scores(results, kind):
    with pytest.raises(cv.InputError, match=r"is a result of convergent\.score: summary, .*plot"):
        OF_OTHERS[kind](results["score"])
    if kind in results:
        OF_OTHERS[kind](results[kind])


def test_messages_say_which_function_is_for_a_result(results):
    for kind, text in {
        "hierarchy": "draw it with plot.hierarchy",
        "shift": r"draw it with plot.shift, .*result\['drop'\]",
        "trajectory": "draw it with plot.trajectory",
        "compare": r"result\['value'\].to_dataframe",
        "match_units": "plot.matches, and make a table with features.unit_table",
    }.items():
        with pytest.raises(cv.InputError, match=text):
            cv.summary(results[kind])
    bits = cv.features.mutual_information(*(labelled(np.eye(8)[:, :3]) for _ in "ab"))
    with pytest.raises(cv.InputError, match=r"a result of features\.mutual_information: read its"):
        cv.summary(bits)
    with pytest.raises(cv.InputError, match=r"features.unit_table is for .*convergent\.compare"):
        cv.features.unit_table(results["compare"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("scores.nc", "this is a str: give the result itself, and open a file with convergent.op"),
        (None, "this is a NoneType"),
        (xr.Dataset({"r": 1.0}), "this Dataset lacks 'ceiling', 'normalized'"),
    ],
)
def test_what_is_no_result(given, message):
    with pytest.raises(cv.InputError, match=message):
        cv.summary(given)
    for draw in (cv.plot.overview, cv.plot.findings, lambda it: cv.plot.layer_figures(it, "a")):
        with pytest.raises(cv.InputError, match=r"plot.*returned, and this is a"):
            draw(given)


def test_parts_of_a_result(results):
    scores = results["score"]
    assert len(cv.summary(scores.sel(source=["early"]))) == 2
    with pytest.raises(cv.InputError, match=r"goes through 'source', .*\.sel\(source=\['NAME'\]"):
        cv.summary(scores.sel(source="early"))
    without = scores.drop_attrs(deep=False).assign_attrs(n_stimuli=40)
    assert cv.summary(without).equals(cv.summary(scores))


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.filterwarnings("ignore:.*Zarr V3 specification")
def test_results_are_opened_as_they_were(results, tmp_path, suffix):
    kinds = ("score", "hierarchy") if suffix == ".nc" else ("score",)
    for kind in kinds:
        path, result = tmp_path / f"{kind}{suffix}", results[kind]
        if suffix == ".nc":
            result.to_netcdf(path, engine="h5netcdf")
        else:
            result.to_zarr(path, zarr_format=3, consolidated=False)
        opened = cv.open(path)
        assert result.identical(opened)
        assert {type(value) for value in opened.attrs.values()} <= {int, str, float}
        for name, variable in result.variables.items():
            assert variable.dtype.kind == opened[name].dtype.kind
    assert cv.summary(cv.open(tmp_path / f"score{suffix}")).equals(cv.summary(results["score"]))


def test_a_foreign_file_is_no_result(tmp_path):
    stimuli = image_names(3)
    for text in ("by hand", "[]", '{"maker": "x"}'):
        foreign = xr.Dataset({"x": ("stimulus", stimuli)}, attrs={"provenance": text})
        foreign.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
        with pytest.raises(cv.InputError, match=r"x.nc was not written by .* is no result"):
            cv.open(tmp_path / "x.nc")
