"""Drawings: the same for ever, balanced, and of many looks."""

import time

import numpy as np
import pytest

from convergent import CATEGORIES, InputError, drawings


def pixels(stimuli):
    return np.stack([np.asarray(image) for image in stimuli])


def test_balanced_named_and_sorted():
    found = drawings(5 * len(CATEGORIES))
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 16
    assert tuple(sorted(CATEGORIES)) == CATEGORIES  # as training numbers the classes
    assert list(found.names) == sorted(set(found.names))
    assert found.table["category"].value_counts().to_dict() == dict.fromkeys(CATEGORIES, 5)
    assert all(row.category in name for name, row in found.table.iterrows())


def test_an_image_depends_on_seed_and_place_alone():
    few, many = drawings(3, 32, seed=4), drawings(40, 32, seed=4)
    assert few.names == many.names[:3]
    backwards = [np.asarray(many[i]) for i in (2, 1, 0)][::-1]
    np.testing.assert_array_equal(pixels(few), backwards)
    np.testing.assert_array_equal(many[0], many[0])  # now from memory
    other = drawings(3, 32, seed=5)
    assert not set(other.names) & set(few.names)
    assert (pixels(other) != pixels(few)).mean() > 0.5


def test_what_is_done_to_an_image_does_not_reach_the_kept_one():
    found = drawings(1)
    before = np.array(found[0])
    found[0].paste((1, 2, 3), (0, 0, 64, 64))
    np.testing.assert_array_equal(found[0], before)


def test_looks():
    found = drawings(160)
    values = pixels(found)
    assert (values.shape, values.dtype) == ((160, 64, 64, 3), np.uint8)
    assert len({image.tobytes() for image in values}) == 160
    means = values.mean((1, 2))
    assert means.std(0).min() > 25  # colours differ from image to image
    assert values.std((1, 2)).min() > 4  # no image is empty
    # a mean image does not show a shape: neither colour nor place tells the category
    grey = values.mean(3)
    by_kind = np.stack([grey[i :: len(CATEGORIES)].mean() for i in range(len(CATEGORIES))])
    assert by_kind.std() < grey.mean((1, 2)).std()
    assert drawings(1, 16)[0].size == (16, 16)
    assert drawings(1, 150)[0].size == (150, 150)


def test_fast():
    found = drawings(100)
    began = time.process_time()
    pixels(found)
    assert time.process_time() - began < 0.6  # 0.15 s measured


@pytest.mark.parametrize(("n", "size", "seed"), [(0, 64, 0), (3, 15, 0), (3, 64, -1)])
def test_what_cannot_be_drawn(n, size, seed):
    with pytest.raises(InputError, match=r"(n=0|size=15|seed=-1): give a whole number from"):
        drawings(n, size, seed)
