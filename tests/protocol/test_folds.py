"""Folds against scikit-learn, groups that stay together, and folds that cannot be made."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

import convergent as cv


def test_folds_are_those_of_scikit_learn():
    found = cv.Folds(4, seed=3).split(30)
    expected = KFold(4, shuffle=True, random_state=3).split(np.arange(30))
    for one, other in zip(found, expected, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)


def test_groups_stay_together():
    groups = np.array([f"photo{i // 3}" for i in range(36)])
    for train, test in cv.Folds(3, group="photo").split(36, groups):
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == 36


def test_folds_in_order_are_contiguous():
    rng = np.random.default_rng(0)
    places = rng.permutation(23)
    found = cv.Folds(4, order="onset").split(23, places=places)
    assert [len(test) for _, test in found] == [6, 6, 6, 5]
    in_order = np.concatenate([test for _, test in found])
    assert places[in_order].tolist() == list(range(23))
    for train, test in found:
        assert sorted([*train, *test]) == list(range(23))


def test_groups_in_order_follow_each_other():
    groups = np.repeat(["d", "b", "a", "c", "f", "e"], 4)
    found = cv.Folds(3, group="run", order="name").split(24, groups)
    assert [list(dict.fromkeys(groups[test])) for _, test in found] == [
        ["d", "b"],
        ["a", "c"],
        ["f", "e"],
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n": 1}, "folds=1: give a whole number from 2 up"),
        ({"n": "5"}, "folds='5'"),
        ({"n": 2.0}, r"folds=2\.0"),
        ({"seed": -1}, "seed=-1: give a whole number from 0 to 4294967295"),
        ({"seed": True}, "seed=True"),
        ({"order": True}, r"Folds\(order=True\): order is 'name', or the name of a numeric"),
        ({"group": 3}, r"Folds\(group=3\): group is the name of a coordinate"),
    ],
)
def test_settings_are_checked(setting, message):
    with pytest.raises(cv.InputError, match=message):
        cv.Folds(**setting)


def test_stimuli_must_suffice():
    with pytest.raises(cv.InputError, match="8 stimuli cannot be split in 3 folds"):
        cv.Folds(3).split(8)
    with pytest.raises(cv.InputError, match="n_stimuli='many'"):
        cv.Folds(3).split("many")
    with pytest.raises(cv.InputError, match="5 groups for 30 stimuli"):
        cv.Folds(3).split(30, np.arange(5))


def test_groups_must_fit_in_folds():
    with pytest.raises(cv.InputError, match="'photo' has 2 groups, the largest 'a' with 15 of 30"):
        cv.Folds(3, group="photo").split(30, np.repeat(["a", "b"], 15))
    with pytest.raises(cv.InputError, match="the largest 'a' with 20 of 30"):
        cv.Folds(3).split(30, np.repeat(["a", "b", "c"], [20, 5, 5]))
    with pytest.raises(cv.InputError, match=r"of 'photo', one of 3 folds has \d test stimuli"):
        cv.Folds(3, group="photo").split(20, np.repeat(list("abcde"), [6, 6, 6, 1, 1]))
