"""The privileged-axis test on sources whose axes are known to matter, or not to."""

import sys

import numpy as np
import pytest
from cases import image_names, labelled
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group

import convergent as cv
from convergent import rotated

N, UNITS = 80, 15
NAMES = image_names(N)


@pytest.fixture(scope="module")
def responses():
    """Of units that are not Gaussian, so that their axes matter."""
    return np.random.default_rng(0).standard_normal((N, UNITS)) ** 3


@pytest.fixture(scope="module")
def table(responses):
    rng = np.random.default_rng(1)
    target = labelled(responses + 0.3 * rng.standard_normal((N, UNITS)), "brain")
    turned = responses @ ortho_group.rvs(UNITS, random_state=1)
    sources = {"axes": labelled(responses), "turned": labelled(turned)}
    metrics = list(cv.METRICS)
    found = cv.privileged_axis(sources, target, metrics, rotations=19, ceiling=None)
    return found.set_index(["metric", "source"])


def test_a_source_with_privileged_axes_is_found(table):
    row = table.loc["soft-matching", "axes"]
    assert row["p"] == 1 / 20
    assert row["z"] > 5
    assert row["difference"] > 0.2
    assert row["native"] > 0.9


def test_a_source_whose_axes_were_rotated_away_is_not(table):
    row = table.loc["soft-matching", "turned"]
    assert row["p"] > 0.05
    assert abs(row["z"]) < 2


def test_metrics_that_ignore_rotations_do_not_move(table):
    for metric in ("linear", "procrustes"):
        rows = table.loc[metric]
        np.testing.assert_allclose(rows["difference"], 0, atol=1e-9)
        assert rows["z"].isna().all()  # rounding is no spread
        assert (rows["p"] == 1).all()


def test_every_score_has_a_row_and_its_parts_agree(table):
    assert len(table) == 6
    assert list(table.columns) == [
        *("target", "native", "rotated", "difference", "z", "p", "n_rotations")
    ]
    assert set(table["target"]) == {"brain"}
    assert (table["n_rotations"] == 19).all()
    np.testing.assert_allclose(table["difference"], table["native"] - table["rotated"])


def test_it_is_what_scores_of_rotated_copies_say(responses):
    target, source = labelled(responses, "brain"), labelled(responses[:, :9], "layer")
    found = cv.privileged_axis(source, target, rotations=4, seed=3, ceiling=None).iloc[0]
    rng = np.random.default_rng(3)

    def r(x):
        return cv.summary(cv.score(x, target, "soft-matching", ceiling=None))["r"].item()

    null = np.array([r(rotated(source, rng)) for _ in range(4)])
    native = r(source)
    assert found["native"] == pytest.approx(native, rel=1e-12)
    assert found["rotated"] == pytest.approx(null.mean(), rel=1e-9)
    assert found["z"] == pytest.approx((native - null.mean()) / null.std(ddof=1), rel=1e-6)
    assert found["p"] == (1 + (null >= native).sum()) / 5


def test_batches_of_rotations_change_nothing(responses, monkeypatch):
    sides = labelled(responses, "layer"), labelled(responses, "brain")
    whole = cv.privileged_axis(*sides, rotations=5, ceiling=None)
    most = 2 * 8 * N * UNITS
    monkeypatch.setattr(sys.modules["convergent.scoring.privileged_axis"], "HELD_BYTES", most)
    assert cv.privileged_axis(*sides, rotations=5, ceiling=None).equals(whole)
    other = cv.privileged_axis(*sides, rotations=5, seed=1, ceiling=None)
    assert not other["rotated"].equals(whole["rotated"])


def test_one_rotation_has_no_spread(responses):
    sides = labelled(responses, "layer"), labelled(responses, "brain")
    found = cv.privileged_axis(*sides, rotations=1, ceiling=None).iloc[0]
    assert np.isnan(found["z"])
    assert found["p"] == 1 / 2


def test_folds_and_ceiling_are_those_of_the_score(responses):
    rng = np.random.default_rng(4)
    trials = responses[:, :, None] + rng.standard_normal((N, UNITS, 3))
    sides = labelled(responses, "layer"), labelled(trials, "brain")
    options = {"folds": cv.Folds(3, seed=2), "ceiling": "repeat-variance"}
    found = cv.privileged_axis(*sides, rotations=1, **options)
    expected = cv.summary(cv.score(*sides, "soft-matching", **options))
    assert found["native"].item() == expected["r"].item()


@pytest.mark.parametrize("rotations", [0, -3])
def test_no_rotation_is_refused(responses, rotations):
    with pytest.raises(cv.InputError, match=f"rotations={rotations}: give a whole number"):
        cv.privileged_axis(labelled(responses), labelled(responses), rotations=rotations)


# Rotations


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [7, 79, 80, 81, 200])  # fewer and more than stimuli
def test_a_rotation_keeps_the_distances_between_stimuli(units, dtype):
    x = (np.random.default_rng(5).standard_normal((N, units)) + 3).astype(dtype)
    found = rotated(labelled(x), np.random.default_rng(6))
    assert found.data.dtype == dtype
    assert found.data.shape == (N, units)
    assert found.stimuli.tolist() == NAMES
    turned = found.data.values.astype(float)
    rtol = 1e-9 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(pdist(turned), pdist(x.astype(float)), rtol=rtol)
    np.testing.assert_allclose(turned.mean(0), 0, atol=1e-5)
    assert not np.allclose(turned, x - x.mean(0), atol=0.1)


def test_repeats_are_averaged_before():
    trials = np.random.default_rng(7).standard_normal((N, 5, 3))
    one, other = (rotated(labelled(x), np.random.default_rng(8)) for x in (trials, trials.mean(2)))
    np.testing.assert_allclose(one.data, other.data, atol=1e-9)


@pytest.mark.parametrize("units", [6, 12])  # fewer and more than stimuli
def test_rotations_are_uniform(units):
    n, rng = 9, np.random.default_rng(10)
    x = cv.Assembly.from_array(
        np.random.default_rng(9).standard_normal((n, units)), stimuli=NAMES[:n]
    )
    before = np.asarray(x.data - x.data.mean("stimulus"))
    inverse = np.linalg.pinv(before)  # weights of the units, within what the stimuli span
    weights = np.array([inverse @ rotated(x, rng).data.values for _ in range(200)])
    rank = min(n - 1, units)
    np.testing.assert_allclose((weights**2).sum((1, 2)), rank)
    np.testing.assert_allclose(weights.mean(0), 0, atol=0.12)
    share = np.diag(inverse @ before)[:, None] / units  # 1 / p, where all of a unit is in the span
    np.testing.assert_allclose((weights**2).mean(0), share + np.zeros(units), rtol=0.4)
    np.testing.assert_allclose((weights**2).mean((0, 2)), share[:, 0], rtol=0.1)
    if rank == units:
        assert (weights**2).mean() == pytest.approx(1 / units, rel=1e-9)
        # fourth moment of a coordinate of a uniform direction
        assert (weights**4).mean() == pytest.approx(3 / (units * (units + 2)), rel=0.1)
