"""Stimuli that follow each other in time: what is noticed, and folds and shuffles that suit."""

import warnings

import dask.array
import numpy as np
import pytest
from cases import labelled
from scipy.signal import lfilter

import convergent as cv
from convergent.scoring.order import places_of, warn_of_order

N = 120


def slow(rng, n=N, units=8, kept=0.9):
    """Independent autoregressive responses of variance 1."""
    noise = rng.standard_normal((n + 100, units))
    return lfilter([np.sqrt(1 - kept**2)], [1, -kept], noise, axis=0)[100:]


def names(n=N):
    return [f"t{i}" for i in range(n)]  # as text t10 comes before t2


def assembly(values, name, **coords):
    return labelled(values, name, stimuli=names(len(values)), **coords)


def check(one, other, protocol=None, groups=None):
    warn_of_order({"a": one}, {"b": other}, protocol or cv.Protocol("linear"), groups)


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    one, other = assembly(slow(rng), "net"), assembly(slow(rng), "V4")
    return cv.align(one, other)


def test_an_order_in_time_is_noticed_once(sides):
    settings = {"metrics": "linear", "ceiling": None, "shuffle": cv.Shuffle(2)}
    settings |= {"bootstrap": cv.Bootstrap(5, refits=2)}
    with pytest.warns(UserWarning, match="that follow each other") as found:
        cv.score(*sides, **settings)
    (said,) = (str(one.message) for one in found)
    for words in ("source 'net'", "target 'V4'", "order of their names", "order='name'"):
        assert words in said
    for words in ("kind='circular'", "Folds(group=...)", "intervals too narrow"):
        assert words in said
    with pytest.warns(UserWarning, match="that follow each other") as found:
        cv.privileged_axis(*sides, "procrustes", rotations=2)
    assert len(found) == 1


@pytest.mark.parametrize("question", ["compare", "hierarchy", "shift", "trajectory", "match_units"])
def test_every_question_notices(sides, question):
    one, other = sides
    layers = {"a": one, "b": one}, {"a": other, "b": other}
    far = ({0: layers[0], 1: layers[0]}, {0: layers[1], 1: layers[1]})
    ask = {
        "compare": lambda: cv.compare(one, other, references="cka"),
        "hierarchy": lambda: cv.hierarchy(*layers, "procrustes", controls={"rotated": layers[0]}),
        "shift": lambda: cv.shift(*far, "procrustes"),
        "trajectory": lambda: cv.trajectory(
            dict(zip("ab", ({**each, 2: each[1]} for each in far), strict=True)), "procrustes"
        ),
        "match_units": lambda: cv.features.match_units(one, other, shuffle=cv.Shuffle(2)),
    }
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ask[question]()
    assert sum("that follow each other" in str(one.message) for one in found) == 1


def test_one_side_alone_says_nothing(sides):
    fast = cv.Assembly(sides[0].data.copy(data=np.random.default_rng(1).standard_normal((N, 8))))
    check(sides[0], fast)
    check(fast, sides[0])


def test_folds_and_shuffles_in_order_are_left_in_peace(sides):
    folds = cv.Folds(order="name")
    circular = cv.Shuffle(3, kind="circular")
    check(*sides, cv.Protocol("linear", folds=folds))
    check(*sides, cv.Protocol("linear", folds=folds, shuffle=circular))
    with pytest.warns(UserWarning, match="random shuffles make p far too small"):
        check(*sides, cv.Protocol("linear", folds=folds, shuffle=cv.Shuffle(3)))


def test_groups_stand_for_their_stimuli():
    rng = np.random.default_rng(2)
    groups = np.array([f"run{i // 4:02d}" for i in range(N)])  # neighbours are alike in a run only
    one, other = (
        np.repeat(rng.standard_normal((N // 4, 8)), 4, axis=0) + rng.standard_normal((N, 8))
        for _ in range(2)
    )
    stimuli = [f"t{i:03d}" for i in range(N)]
    both = [labelled(values, stimuli=stimuli) for values in (one, other)]
    with pytest.warns(UserWarning, match="that follow each other"):
        check(*both)
    check(*both, groups=groups)
    drift = slow(rng, N // 4, 30, kept=0.95).repeat(4, axis=0)
    both = [labelled(drift, stimuli=stimuli) for _ in range(2)]
    with pytest.warns(UserWarning, match="that follow each other"):
        check(*both, groups=groups)


@pytest.mark.parametrize("label", ["onset", "time"])
def test_a_label_tells_the_order(label):
    rng = np.random.default_rng(3)
    when = rng.permutation(N) * 1.5
    drift = slow(rng)[np.argsort(np.argsort(when))]
    both = [assembly(drift, "net", **{label: ("stimulus", when)}), assembly(drift, "V4")]
    with pytest.warns(UserWarning, match=f"order of the label '{label}'.*order='{label}'"):
        check(*cv.align(*both))


def test_responses_on_disk_are_read_in_part(sides):
    def unread(_block):
        raise AssertionError("only the first chunk of units is needed")

    lazy = []
    for one in sides:
        chunks = one.data.chunk(unit=2).data
        rest = chunks[:, 2:].map_blocks(unread, dtype=chunks.dtype, meta=np.empty((0, 0)))
        values = dask.array.concatenate([chunks[:, :2], rest], axis=1)
        lazy.append(cv.Assembly(one.data.copy(data=values)))
    with pytest.warns(UserWarning, match="that follow each other"):
        check(*lazy)


@pytest.mark.parametrize("kind", ["same", "sparse", "heavy", "few"])
def test_images_in_a_random_order_do_not_warn(kind):
    for seed in range(60):
        rng = np.random.default_rng([4, seed])
        if kind == "sparse":  # a few stimuli decide everything
            x = np.where(rng.random((100, 10)) < 0.02, rng.exponential(size=(100, 10)), 0)
            x[rng.choice(100, 2, replace=False)] += 5
        elif kind == "heavy":
            x = rng.standard_normal((100, 3)) @ rng.standard_normal((3, 20))
            x /= rng.chisquare(3, size=(100, 1)) ** 0.5
        else:
            x = rng.standard_normal((25 if kind == "few" else 400, 3))
        check(*(labelled(x) for _ in range(2)))


def test_names_and_labels_give_places(sides):
    assert [f"t{i}" for i in range(N)] == sides[0].stimuli[
        np.argsort(places_of("name", sides))
    ].tolist()
    when = np.random.default_rng(0).permutation(N)
    timed = cv.Assembly(sides[0].data.assign_coords(onset=("stimulus", when)))
    np.testing.assert_array_equal(places_of("onset", [sides[1], timed]), when)
    assert places_of(None, sides) is None
    with pytest.raises(cv.InputError, match="no numeric coordinate along 'stimulus' 'onset'"):
        places_of("onset", sides)
    worded = cv.Assembly(sides[0].data.assign_coords(onset=("stimulus", when.astype(str))))
    with pytest.raises(cv.InputError, match="'onset' of stimuli is not numeric"):
        places_of("onset", [worded])


def test_scores_follow_the_order(sides):
    folds = cv.Folds(4, order="name")
    found = cv.score(*sides, "linear", ceiling=None, folds=folds)
    numbered = [
        cv.Assembly(
            one.data.assign_coords(stimulus=[f"t{int(name[1:]):03d}" for name in one.stimuli])
        )
        for one in sides
    ]
    again = cv.score(*numbered, "linear", ceiling=None, folds=folds)
    np.testing.assert_allclose(found["r"], again["r"], atol=1e-9)


def p_values(number, related):
    """P against circular shifts of Procrustes in contiguous folds."""
    settings = {"folds": cv.Folds(5, order="name"), "shuffle": cv.Shuffle(19, kind="circular")}
    for seed in range(number):
        rng = np.random.default_rng([5, seed])
        x, y = slow(rng, 200), slow(rng, 200)
        sides = assembly(x, "net"), assembly(y + related * x, "V4")
        scores = cv.score(*sides, "procrustes", ceiling=None, **settings)
        yield cv.summary(scores)["p_shuffle"][0]


def test_circular_shifts_find_what_is_there():
    assert max(p_values(3, related=0.7)) == 0.05


@pytest.mark.slow
def test_unrelated_responses_are_found_in_5_percent():
    positive = np.mean([p <= 0.05 for p in p_values(150, related=0)])
    assert positive <= 0.07 + 2 * np.sqrt(0.07 * 0.93 / 150)
