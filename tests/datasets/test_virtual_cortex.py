"""The embedded data set: simulated, labelled so, and with an answer that scores find again."""

import importlib.util

import numpy as np
import pytest

import convergent as cv

CARD = cv.card("virtual-cortex")
REGIONS = ("simulated-V1", "simulated-V2", "simulated-V4", "simulated-IT")  # early to late


@pytest.fixture(scope="module")
def cortex():
    """The module that simulates it."""
    path = CARD.folder / "virtual_cortex.py"
    spec = importlib.util.spec_from_file_location("virtual_cortex_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small(cortex):
    return cortex.build(24, ("s1",))


def test_card_promises_enough():
    assert CARD.regions == REGIONS
    assert len(CARD.subjects) == 3
    assert CARD.stimuli >= 600
    assert CARD.repeats >= 2
    assert not CARD.files


def test_card_says_simulated():
    assert CARD.simulated
    assert "simulated" in CARD.title
    assert "No brain was recorded" in CARD.description
    assert CARD.description.count("EfficientNet-lite1") == 2  # which is to be left out


def test_card_counts_what_is_built(cortex, small):
    _, recording = small
    assert len(CARD.subjects) * recording.data.sizes["unit"] == CARD.units
    assert recording.repeats == cortex.REPEATS == CARD.repeats


def test_regions_read_deeper_and_deeper_layers(cortex):
    assert tuple(cortex.ANSWER) == REGIONS
    depths = [int(layer.removeprefix("_blocks.")) for layer in cortex.ANSWER.values()]
    assert depths == sorted(set(depths))


def test_network_that_is_read_is_not_the_default_one(cortex):
    assert cortex.NETWORK == "efficientnet-lite1"


def test_recording_is_labelled_as_simulated(cortex, small):
    stimuli, recording = small
    assert recording.data.attrs["simulated"]
    assert recording.data.attrs["answer"] == {
        region: f"{cortex.NETWORK} {layer}" for region, layer in cortex.ANSWER.items()
    }
    assert list(recording.by("region")) == list(REGIONS)
    assert recording.stimuli.tolist() == list(stimuli.names)
    for region, part in recording.by("region").items():
        assert set(part.data["origin"].values) == {f"{cortex.NETWORK} {cortex.ANSWER[region]}"}
        assert set(part.data["subject"].values) == {"s1"}
        assert all(unit.startswith(f"s1-{region}-") for unit in part.units)


def test_build_is_deterministic(cortex, small):
    stimuli, recording = cortex.build(24, ("s1",))
    np.testing.assert_allclose(recording.data, small[1].data, atol=1e-5)
    for one, other in zip(stimuli, small[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_subjects_differ(cortex, small):
    one, other = cortex.build(24, ("s1", "s2"))[1].by("subject").values()
    np.testing.assert_allclose(one.data, small[1].data, atol=1e-5)
    assert np.abs(one.data.values - other.data.values).max(0).min() > 0.1
    assert set(one.data["noise"].values).isdisjoint(other.data["noise"].values)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set, simulated anew: no copy that an earlier run kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVERGENT_DATA", str(tmp_path_factory.mktemp("data")))
        return cv.load("virtual-cortex")


@pytest.mark.slow
def test_loaded_whole(whole):
    stimuli, recording = whole
    assert len(stimuli) == CARD.stimuli
    assert recording.data.shape == (CARD.stimuli, CARD.units, CARD.repeats)
    assert tuple(recording.by("region")) == CARD.regions
    assert tuple(recording.by("subject")) == CARD.subjects
    assert recording.data.attrs["simulated"] is True
    assert recording.data.attrs["data_set"] == "virtual-cortex"


@pytest.mark.slow
def test_estimated_reliability_tracks_the_true_one(whole):
    _, recording = whole
    true = recording.data["reliability"].values
    found = cv.split_half(recording.data.values).full
    assert np.corrcoef(found, true)[0, 1] > 0.95
    assert abs(np.mean(found - true)) < 0.02


@pytest.mark.slow
def test_default_comparison_finds_the_order_of_regions(whole):
    stimuli, recording = whole
    network = cv.network("efficientnet-lite0")
    layers = cv.extract(network, stimuli)
    scores = cv.score(layers, recording.by("region"), "linear")
    assert scores.attrs["simulated"]
    table = cv.summary(scores).pivot_table(index="source", columns="target", values="r")
    best = [list(layers).index(table[region].idxmax()) for region in REGIONS]
    assert best == sorted(set(best))
