"""Rotations and halves are uniform over what they are drawn from."""

import numpy as np
import pytest

from convergent.base.draws import first_half, random_rotation


@pytest.mark.parametrize("columns", [None, 1, 3])
def test_rotations_are_orthonormal_and_uniform(columns):
    rng = np.random.default_rng(0)
    drawn = np.array([random_rotation(5, rng, columns) for _ in range(4000)])
    assert drawn.shape[1:] == (5, columns or 5)
    inner = drawn.transpose(0, 2, 1) @ drawn
    np.testing.assert_allclose(
        inner, np.broadcast_to(np.eye(columns or 5), inner.shape), atol=1e-12
    )
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.04)  # no direction is preferred
    np.testing.assert_allclose((drawn**2).mean(0), 1 / 5, atol=0.03)


def test_half_of_the_recorded_repeats_are_chosen():
    rng = np.random.default_rng(1)
    recorded = rng.random((40, 3, 7)) < 0.7
    half = first_half(recorded, rng)
    assert not (half & ~recorded).any()
    counts, chosen = recorded.sum(-1), half.sum(-1)
    assert ((chosen == counts // 2) | (chosen == -(-counts // 2))).all()
    often = np.mean([first_half(recorded, rng) for _ in range(2000)], axis=0)
    np.testing.assert_allclose(often[recorded], 0.5, atol=0.06)
