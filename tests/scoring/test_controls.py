"""Controls: what is lost, and what is kept."""

import numpy as np
import pytest
from scipy import stats

import convergent as cv

N, P = 40, 6
NAMES = [f"{i:02d}.png" for i in range(N)]


def population(seed, n=N, p=P, names=NAMES):
    values = np.random.default_rng(seed).standard_normal((n, p)) + 3
    return cv.Assembly.from_array(values, stimuli=names)


def test_shuffled_stimuli_take_the_same_places_everywhere():
    order = np.random.default_rng(5).permutation(N)
    other = population(2)
    mixed = cv.Assembly(other.data.isel(stimulus=order))  # names, not positions, count
    found = cv.shuffled({"a": population(1), "b": {"c": other, "d": mixed}}, seed=3)
    assert found["a"].stimuli.tolist() == NAMES
    place = [
        int(np.flatnonzero((population(1).data.values == row).all(1))[0])
        for row in found["a"].data.values
    ]
    assert sorted(place) == list(range(N))
    assert np.mean(np.array(place) == np.arange(N)) < 0.2
    for name in ("c", "d"):
        np.testing.assert_array_equal(found["b"][name].data.values, other.data.values[place])
    assert not np.array_equal(cv.shuffled(population(1), seed=4).data, found["a"].data)


def test_positions_of_an_image_stay_together():
    images = np.repeat([f"{i}.png" for i in range(10)], 4)
    names = [f"{image}@{k % 4}" for k, image in enumerate(images)]
    values = np.stack([np.arange(40) // 4, np.arange(40) % 4], axis=1).astype(float)
    place = {"row": ("stimulus", np.arange(40) % 4 // 2), "column": ("stimulus", np.arange(40) % 2)}
    given = cv.Assembly.from_array(values, stimuli=names, image=("stimulus", images), **place)
    found = cv.shuffled(given).data.values.reshape(10, 4, 2)
    assert (np.ptp(found[..., 0], axis=1) == 0).all()
    assert (found[..., 1] == np.arange(4)).all()
    assert sorted(found[:, 0, 0]) == list(range(10))
    with pytest.raises(cv.InputError, match="images of 3 to 4 positions"):
        cv.shuffled(cv.Assembly(given.data[1:]))


@pytest.mark.parametrize("p", [6, 60])
def test_rotation_keeps_inner_products_and_is_one_for_all_steps_of_a_layer(p):
    steps = {step: {"a": population(step, p=p), "b": population(9 + step)} for step in (0, 1)}
    found = cv.rotated({"run": steps}, seed=2)["run"]
    given, turned = (
        np.concatenate([side[step]["a"].data.values for step in (0, 1)]) for side in (steps, found)
    )
    given = given - given.mean(0)
    np.testing.assert_allclose(turned @ turned.T, given @ given.T, atol=1e-9)
    assert np.abs(turned - given).max() > 0.5
    assert found[0]["a"].stimuli.tolist() == NAMES
    assert not np.array_equal(found[0]["a"].units, steps[0]["a"].units)


def test_rotations_are_uniform():
    rng = np.random.default_rng(1)
    one = population(3)
    centred = one.data.values - one.data.values.mean(0)
    inverse = np.linalg.pinv(centred)
    first = [(inverse @ cv.rotated(one, rng).data.values)[0, 0] for _ in range(300)]
    # an entry of a uniform rotation in p dimensions: (x + 1) / 2 is beta distributed
    assert (
        stats.kstest((np.array(first) + 1) / 2, stats.beta((P - 1) / 2, (P - 1) / 2).cdf)[1] > 0.01
    )


def test_layers_of_other_size_cannot_be_rotated_alike():
    with pytest.raises(cv.InputError, match="'a' has from 5 to 6 units"):
        cv.rotated({0: {"a": population(1)}, 1: {"a": population(2, p=5)}})
