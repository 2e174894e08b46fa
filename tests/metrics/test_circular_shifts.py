"""Circular shifts against numpy.roll, chosen without the test images, in every metric."""

import json
import pickle
from dataclasses import dataclass, replace

import dask.array
import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

import convergent as cv
from convergent import CircularShifts, Linear, Population, Procrustes, SoftMatching
from convergent.base.hashing import parameters
from convergent.metrics.circular_shifts import shifted_places
from convergent.metrics.table import named_metrics
from convergent.scoring.tasks import exchanged

GRID = (2, 3)
PLACES = 6
IMAGES, TRAINING = 24, 18
TRAIN, TEST = np.arange(TRAINING * PLACES), np.arange(TRAINING * PLACES, IMAGES * PLACES)
METRICS = {
    "linear": Linear(),
    "procrustes": Procrustes(),
    "soft-matching": SoftMatching(),
    "barycentric": SoftMatching("barycentric"),
}
SHIFTS = [(0, 0), (0, 2), (1, 0), (1, 1)]


def maps(channels=8, seed=0):
    """Maps (image, row, column, channel) that differ from place to place."""
    return np.random.default_rng(seed).standard_normal((IMAGES, *GRID, channels))


def rolled(values, shift):
    """The same, every map shifted."""
    return np.roll(values, shift, axis=(1, 2))


def views(x, y, train=TRAIN, test=TEST, kind=np.asarray):
    """Both under one split, positions as stimuli."""
    return tuple(Population(kind(z.reshape(-1, z.shape[-1]))).fold(train, test) for z in (x, y))


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, 1), (3, 2), (-1, -2)])
def test_places_are_those_of_roll(shift):
    values = np.random.default_rng(0).standard_normal((4, 5))
    found = values.ravel()[shifted_places(shift, (4, 5))].reshape(4, 5)
    np.testing.assert_array_equal(found, np.roll(values, shift, axis=(0, 1)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shifted_copy_is_found(metric, shift):
    x = maps()
    both = views(x, rolled(x, shift))
    fitted = CircularShifts(METRICS[metric], GRID).fit(*both)
    assert fitted.shift == shift
    assert fitted.held_out.shape == GRID
    assert fitted.held_out[shift] == fitted.held_out.max()
    np.testing.assert_allclose(fitted.score().r, 1, atol=1e-4)
    without = METRICS[metric].fit(*both).score()
    if shift == (0, 0):
        np.testing.assert_allclose(without.r, 1, atol=1e-4)
    else:
        assert np.median(without.r) < 0.5


@pytest.mark.parametrize("inner", ["linear", "procrustes"])
def test_a_copy_both_rotated_and_shifted_is_found(inner):
    x = maps()
    y = rolled(x, (1, 2)) @ ortho_group.rvs(8, random_state=1)
    fitted = CircularShifts(inner, GRID).fit(*views(x, y))
    assert fitted.shift == (1, 2)
    np.testing.assert_allclose(fitted.score().r, 1, atol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_the_map_is_the_inner_metrics_with_the_source_rolled(metric):
    x = maps(9, seed=1)
    y = rolled(x, (1, 1))[..., :5] + maps(5, seed=2)
    fitted = CircularShifts(METRICS[metric], GRID).fit(*views(x, y))
    assert fitted.shift == (1, 1)
    plain = METRICS[metric].fit(*views(rolled(x, (1, 1)), y))
    expected, found = plain.score(), fitted.score()
    np.testing.assert_allclose(found.r, expected.r, atol=1e-8)
    np.testing.assert_allclose(found.similarity, expected.similarity, atol=1e-9)
    draw = np.random.default_rng(3)
    counts = [
        np.repeat(draw.multinomial(n, np.full(n, 1 / n), size=3), PLACES, axis=1).astype(float)
        for n in (IMAGES - TRAINING, TRAINING)
    ]
    for given in (counts[:1], counts):
        np.testing.assert_allclose(fitted.resample(*given), plain.resample(*given), atol=1e-8)


def test_the_choice_is_that_of_scipy_on_training_images_held_out():
    x = maps(seed=4)
    y = 0.5 * rolled(x, (1, 0)) @ ortho_group.rvs(8, random_state=4) + maps(seed=5)
    found = CircularShifts("procrustes", GRID).fit(*views(x, y)).held_out
    drawn = np.random.default_rng(0).permutation(TRAINING)
    held_out, fitting = drawn[:4], drawn[4:]  # a quarter of 18, rounded
    for shift in np.ndindex(*GRID):
        a, b = (z[:TRAINING].reshape(TRAINING, PLACES, 8) for z in (rolled(x, shift), y))
        (a_fit, b_fit), (a_out, b_out) = (
            [z[images].reshape(-1, 8) for z in (a, b)] for images in (fitting, held_out)
        )
        q, _ = orthogonal_procrustes(a_fit - a_fit.mean(0), b_fit - b_fit.mean(0))
        predicted = (a_out - a_fit.mean(0)) @ q
        r = [np.corrcoef(predicted[:, j], b_out[:, j])[0, 1] for j in range(8)]
        assert found[shift] == pytest.approx(np.mean(r), abs=1e-9)


def test_test_images_have_no_part_in_the_choice():
    x, y = maps(seed=6), maps(seed=7)
    before = CircularShifts("linear", GRID).fit(*views(x, y))
    for shift in SHIFTS:
        other = np.concatenate([y[:TRAINING], rolled(x, shift)[TRAINING:]])
        after = CircularShifts("linear", GRID).fit(*views(x, other))
        assert after.shift == before.shift
        np.testing.assert_array_equal(after.held_out, before.held_out)


def test_what_is_not_alike_scores_no_higher_for_being_shifted():
    scores = [
        np.mean(
            CircularShifts("linear", GRID).fit(*views(maps(seed=i), maps(seed=-i % 97))).score().r
        )
        for i in range(1, 13)
    ]
    assert abs(np.mean(scores)) < 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_torch_and_dask_give_the_same_as_numpy(metric):
    x = maps(9, seed=1)
    y = rolled(x, (0, 2))[..., :5] + maps(5, seed=2)
    both = CircularShifts(METRICS[metric], GRID)
    expected = both.fit(*views(x, y))
    for kind in (torch.from_numpy, lambda z: dask.array.from_array(z, chunks=(17, 2))):
        found = both.fit(*views(x, y, kind=kind))
        assert found.shift == expected.shift == (0, 2)
        np.testing.assert_allclose(found.held_out, expected.held_out, atol=1e-8)
        np.testing.assert_allclose(found.score().r, expected.score().r, atol=1e-8)


@pytest.mark.parametrize("metric", METRICS)
def test_folds_need_not_be_in_one_piece_and_images_may_change_places(metric):
    x = maps()
    images = np.arange(IMAGES) % 4 == 0
    test, train = (np.flatnonzero(np.repeat(part, PLACES)) for part in (images, ~images))
    order = np.arange(IMAGES * PLACES).reshape(IMAGES, PLACES)
    for part in (images, ~images):  # within each part
        order[part] = order[part][::-1]
    source, target = views(x, rolled(x, (1, 2)), train, test)
    fitted = CircularShifts(METRICS[metric], GRID).fit(source, target)
    assert fitted.shift == (1, 2)
    other = exchanged(target, order.ravel())
    again = rolled(x, (1, 2)).reshape(-1, 8)[order.ravel()].reshape(x.shape)
    expected = CircularShifts(METRICS[metric], GRID).fit(*views(x, again, train, test))
    found = CircularShifts(METRICS[metric], GRID).fit(source, other)
    assert found.shift == expected.shift
    np.testing.assert_allclose(found.score().r, expected.score().r, atol=1e-8)


def test_silent_units_have_no_part_and_of_equals_the_least_shift_is_taken():
    x, y = maps(), maps(seed=1)
    y[..., 2] = 1.0
    fitted = CircularShifts("linear", GRID).fit(*views(x, y))
    assert np.isfinite(fitted.held_out).all()
    np.testing.assert_array_equal(np.isnan(fitted.score().r), np.arange(8) == 2)
    for one, other in ((x, np.ones_like(y)), (np.ones_like(x), maps(seed=1))):
        assert CircularShifts("linear", GRID).fit(*views(one, other)).shift == (0, 0)


# In a score


def labelled(values):
    """Assembly of (image, row, column, channel)."""
    images = [f"{i:02d}.png" for i in range(len(values))]
    names = [f"{n}@{i}.{j}/2x3" for n in images for i in range(2) for j in range(3)]
    row, column = np.divmod(np.tile(np.arange(PLACES), len(values)), 3)
    labels = {"image": np.repeat(images, PLACES), "row": row, "column": column}
    return cv.Assembly.from_array(
        values.reshape(-1, values.shape[-1]),
        stimuli=names,
        **{key: ("stimulus", label) for key, label in labels.items()},
    )


@pytest.fixture(scope="module")
def pair():
    x = maps(seed=8)
    return labelled(x), labelled(rolled(x, (1, 2)) + 0.3 * maps(seed=9))


def test_scores_stand_beside_those_without(pair):
    metrics = ["linear", *(CircularShifts(name, GRID) for name in cv.METRICS)]
    scores = cv.score(*pair, metrics, ceiling="self", folds=cv.Folds(4))
    names = ["linear", "linear-shifted", "procrustes-shifted", "soft-matching-shifted"]
    assert scores["metric"].values.tolist() == names
    r = cv.summary(scores).set_index("metric")["r"]
    assert r["linear"] < 0.3
    assert r[names[1:]].min() > 0.85
    np.testing.assert_allclose(scores["ceiling"], 1, atol=1e-6)  # of its own copy


def test_each_fold_is_what_the_metric_gives_on_it(pair):
    metric = CircularShifts("procrustes", GRID)
    scores = cv.score(*pair, [metric], ceiling=None, folds=cv.Folds(4, seed=2))
    images = np.arange(IMAGES * PLACES) // PLACES
    for k, (train, test) in enumerate(cv.Folds(4, seed=2).split(len(images), images)):
        sides = (Population(one.data.values).fold(train, test) for one in pair)
        fitted = metric.fit(*sides)
        assert fitted.shift == (1, 2)
        np.testing.assert_allclose(scores["r"].sel(fold=k).squeeze(), fitted.score().r, atol=1e-9)


def test_bootstrap_and_shuffles_go_with_shifts(pair):
    scores = cv.score(
        *pair,
        CircularShifts("procrustes", GRID),
        ceiling=None,
        folds=cv.Folds(3),
        bootstrap=cv.Bootstrap(6, refits=3),
        shuffle=cv.Shuffle(5),
    )
    assert float(scores["r_draws"].median()) > 0.85
    assert np.isfinite(scores["r_refits"]).all()
    assert float(np.abs(scores["r_shuffled"]).max()) < 0.4


def test_a_study_does_not_take_one_inner_metric_for_another(pair, tmp_path, pairs_done):
    options = {"ceiling": None, "folds": cv.Folds(3), "study": tmp_path}
    several = [
        CircularShifts("procrustes", GRID),
        CircularShifts("soft-matching", GRID),
        CircularShifts(SoftMatching("barycentric"), GRID),
        CircularShifts("linear", GRID),
        CircularShifts(Linear([0.1]), GRID),
    ]
    found = [cv.score(*pair, {"shifted": metric}, **options) for metric in several]
    assert pairs_done.count == len(several)
    for metric, expected in zip(several, found, strict=True):
        again = cv.score(*pair, {"shifted": metric}, **options)
        np.testing.assert_array_equal(again["r"], expected["r"])
    assert pairs_done.count == len(several)
    with pytest.raises(cv.InputError, match=r"of 3 x 2, and the layers have 2 x 3 positions"):
        cv.score(*pair, CircularShifts("procrustes", (3, 2)), **options)


def test_parameters_tell_the_inner_metric():
    found = parameters(CircularShifts(Linear([0.5]), [2, 3]))
    assert (found["metric"], found["grid"]) == ("CircularShifts", (2, 3))
    assert found["inner"]["metric"] == "Linear"
    assert found["inner"]["penalties"] == (0.5,)
    assert json.loads(json.dumps(found))


class Strange:
    """No dataclass."""

    def fit(self, source, target):
        return Procrustes().fit(source, target)

    def __repr__(self):
        return "Strange()"


def test_a_metric_of_ones_own_can_be_within():
    found = parameters(CircularShifts(Strange(), GRID))["inner"]
    assert (found["metric"], found["value"]) == ("Strange", "Strange()")
    x = maps()
    assert CircularShifts(Strange(), GRID).fit(*views(x, rolled(x, (1, 1)))).shift == (1, 1)
    assert list(named_metrics(CircularShifts(Strange(), GRID))) == ["Strange-shifted"]


@dataclass(frozen=True)
class _Own:
    metric_name: str

    def fit(self, source, target):
        return Procrustes().fit(source, target)


def test_names_of_metrics():
    several = [*cv.METRICS, *(CircularShifts(name, GRID) for name in cv.METRICS), _Own("mine")]
    assert list(named_metrics(several)) == [
        *cv.METRICS,
        *(f"{name}-shifted" for name in cv.METRICS),
        "mine",
    ]
    with pytest.raises(cv.InputError, match="each name once"):
        named_metrics([CircularShifts("linear", GRID), CircularShifts("linear", (1, 1))])


def test_it_is_a_value():
    metric = CircularShifts("linear", [2, 3])
    assert metric == CircularShifts(Linear(), (2, 3))
    assert hash(metric) == hash(CircularShifts(Linear(), (2, 3)))
    assert replace(metric, grid=(4, 4)).grid == (4, 4)
    with pytest.raises(AttributeError):
        metric.grid = (1, 1)
    assert pickle.loads(pickle.dumps(metric)) == metric  # as workers get it


# Bad input


@pytest.mark.parametrize(
    "grid", [(4,), (4, 0), (4, -1), (4, 4.0), 4, "44", None, (1, 2, 3), (2, True)]
)
def test_a_grid_is_two_counts(grid):
    with pytest.raises(cv.InputError, match="give rows and columns of the maps"):
        CircularShifts("linear", grid)


def test_an_unknown_metric_is_told():
    with pytest.raises(cv.InputError, match="no metric 'procrustean': did you mean 'procrustes'"):
        CircularShifts("procrustean", GRID)
    with pytest.raises(cv.InputError, match="5 is no metric"):
        CircularShifts(5, GRID)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (TRAIN[:-1], TEST),  # no whole image
        (TRAIN, TEST[1:]),
        (TRAIN[3:-3], TEST),  # as many as whole images, but from halves
        (TRAIN[::-1], TEST),
        (np.random.default_rng(0).permutation(TRAIN), TEST),
    ],
)
def test_stimuli_that_are_not_positions_of_whole_images_are_told(train, test):
    with pytest.raises(cv.InputError, match=r"not all 6 positions \(grid 2 x 3\) of whole images"):
        CircularShifts("linear", GRID).fit(*views(maps(), maps(), train, test))


def test_a_single_training_image_is_told():
    with pytest.raises(cv.InputError, match="there is one training image: use more images"):
        CircularShifts("linear", GRID).fit(*views(maps(), maps(), TRAIN[:PLACES], TEST))


def test_whole_images_in_a_score_are_told():
    x = maps().reshape(IMAGES, -1)
    layer = cv.Assembly.from_array(x, stimuli=[f"{i:02d}.png" for i in range(IMAGES)])
    with pytest.raises(cv.InputError, match=r"'linear-shifted' shift maps.*spatial='positions-4'"):
        cv.score(layer, layer, CircularShifts("linear", GRID), ceiling=None)
