"""Scores of EfficientNet-lite0 on macaque V4, against figures of an independent program.

That program has no Gram matrices: `numpy.linalg.svd`, `sklearn.linear_model.RidgeCV` and `ot.emd`.
"""

import numpy as np
import pytest

import convergent as cv

SESSION = "210325"
MEAN = {  # layer: linear, procrustes, soft matching
    "_conv_stem": (0.1558, 0.1353, 0.1334),
    "_blocks.2": (0.3661, 0.3297, 0.1882),
    "_blocks.5": (0.4008, 0.3074, 0.1676),
    "_blocks.8": (0.4483, 0.3197, 0.1609),
    "_blocks.11": (0.4643, 0.3079, 0.1417),
    "_blocks.14": (0.4685, 0.3197, 0.1403),
}
FLATTEN = {
    "_blocks.8": (0.5508, 0.4232, 0.0673),
    "_blocks.11": (0.5994, 0.4551, 0.0963),
    "_blocks.14": (0.5827, 0.4652, 0.1185),
}
BARYCENTRIC = {"_blocks.8": 0.3739, "_blocks.11": 0.4254, "_blocks.14": 0.4419}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not cv.present(cv.card("cowley2023"), SESSION),
        reason=f"cowley2023/{SESSION} is not below CONVERGENT_DATA",
    ),
]


@pytest.fixture(scope="module")
def session():
    return cv.load("cowley2023", session=SESSION)


@pytest.fixture(scope="module")
def network():
    return cv.network("efficientnet-lite0")


def matches(scores, expected, tolerance):
    """Whether every figure is reached."""
    r = cv.summary(scores).pivot_table(index="source", columns="metric", values="r")
    for layer, figures in expected.items():
        for metric, figure in zip(cv.METRICS, figures, strict=True):
            assert r.loc[layer, metric] == pytest.approx(figure, abs=tolerance), (layer, metric)


def test_means_over_space(session, network):
    stimuli, recording = session
    scores = cv.score(cv.extract(network, stimuli, list(MEAN), spatial="mean"), recording)
    matches(scores, MEAN, 0.0005)
    assert float(scores["split_half_r"].median()) == pytest.approx(0.60, abs=0.03)
    assert float(scores["reliability"].median()) == pytest.approx(0.75, abs=0.03)
    assert (cv.summary(scores)["n_units_excluded"] == 0).all()


def test_every_position(session, network):
    stimuli, recording = session
    layers = cv.extract(network, stimuli, list(FLATTEN), spatial="flatten")
    metrics = {name: metric() for name, metric in cv.METRICS.items()}
    scores = cv.score(layers, recording, metrics | {"barycentric": cv.SoftMatching("barycentric")})
    matches(scores, FLATTEN, 0.0005)
    table = cv.summary(scores).set_index(["metric", "source"])["r"]
    for layer, figure in BARYCENTRIC.items():
        assert table["barycentric", layer] == pytest.approx(figure, abs=0.0005)


def test_shuffled_stimuli_leave_nothing(session, network):
    stimuli, recording = session
    layer = cv.extract(network, stimuli, ["_blocks.11"])["_blocks.11"].data
    names = np.random.default_rng(0).permutation(layer["stimulus"].values)
    shuffled = cv.Assembly(layer.assign_coords(stimulus=names))
    with pytest.raises(cv.InputError, match="were shown different images"):
        cv.score(shuffled, recording)
    shuffled = cv.Assembly(shuffled.data.drop_vars("stimulus_sha256"))  # by name alone
    assert (cv.summary(cv.score(shuffled, recording))["r"].abs() < 0.05).all()
