"""Pictures: transparency, orientation, frames, bits, as viewers show them or reported."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from convergent import InputError, Stimuli
from convergent.data.pictures import Pictures

GREEN, SKIN = (0, 255, 0), (200, 60, 30)


def saved(image, suffix="png", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def pixels(image):
    return np.asarray(image).astype(int)


def transparent():
    """Hidden green in the upper row, half-transparent skin in the lower one."""
    values = np.zeros((2, 3, 4), np.uint8)
    values[0], values[1] = (*GREEN, 0), (*SKIN, 128)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("ground", "hidden", "half"),
    [
        ("white", (255, 255, 255), (227, 157, 142)),
        ("black", (0, 0, 0), (100, 30, 15)),
        ((10, 20, 30), (10, 20, 30), (105, 40, 30)),
        ("#808080", (128, 128, 128), (164, 94, 79)),
    ],
)
def test_transparent_pixels_show_the_ground(tmp_path, ground, hidden, half):
    transparent().save(tmp_path / "a.png")
    found = pixels(Stimuli.from_folder(tmp_path, ground=ground)[0])
    assert found[:, 0].tolist() == [list(hidden), list(half)]
    (again,) = Stimuli.from_arrays([transparent()], ["a"], ground=ground)
    np.testing.assert_array_equal(pixels(again), found)


def test_white_is_the_default(tmp_path):
    transparent().save(tmp_path / "a.png")
    assert pixels(Stimuli.from_folder(tmp_path)[0])[0, 0].tolist() == [255, 255, 255]


def palette():
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([*GREEN, *SKIN])
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "options", "expected"),
    [
        (palette(), "png", {"transparency": 0}, [(255, 255, 255), SKIN]),
        (palette(), "gif", {"transparency": 0}, [(255, 255, 255), SKIN]),
        (palette(), "png", {}, [GREEN, SKIN]),
        (Image.new("RGB", (2, 1), GREEN), "png", {"transparency": GREEN}, [(255,) * 3] * 2),
        (Image.new("L", (2, 1), 7), "png", {"transparency": 7}, [(255,) * 3] * 2),
        (Image.new("LA", (2, 1), (7, 0)), "png", {}, [(255,) * 3] * 2),
        (Image.new("LA", (2, 1), (0, 128)), "png", {}, [(127,) * 3] * 2),
        (Image.new("1", (2, 1), 1), "png", {}, [(255,) * 3] * 2),
        (Image.new("CMYK", (2, 1), (0, 0, 0, 255)), "tiff", {}, [(0,) * 3] * 2),
    ],
)
def test_every_way_to_store_a_colour(image, suffix, options, expected):
    found = Pictures().from_file("a", saved(image, suffix, **options))
    assert found.mode == "RGB"
    assert pixels(found)[0].tolist() == [list(colour) for colour in expected]


@pytest.mark.parametrize("ground", ["whit", (1, 2), (0, 0, 256), None])
def test_grounds_that_are_no_colour(tmp_path, ground):
    transparent().save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"is no colour: give a name"):
        Stimuli.from_folder(tmp_path, ground=ground)


@pytest.mark.parametrize("suffix", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize(
    ("orientation", "turns", "mirrored"),
    [(1, 0, False), (2, 0, True), (3, 2, False), (6, 3, False), (8, 1, False), (5, 3, True)],
)
def test_orientation_of_exif(suffix, orientation, turns, mirrored):
    values = np.zeros((40, 60, 3), np.uint8)
    values[:20, :30] = 255  # upper left
    image = Image.fromarray(values)
    exif = image.getexif()
    exif[0x0112] = orientation
    found = Pictures().from_file("a", saved(image, suffix, exif=exif))
    assert found.size == ((40, 60) if turns % 2 else (60, 40))
    expected = np.rot90(values, turns)
    expected = expected[:, ::-1] if mirrored else expected
    assert np.abs(pixels(found) - expected).mean() < 2  # JPEG loses a little


def test_damaged_exif_does_not_hide_the_image():
    content = saved(Image.new("RGB", (4, 4), SKIN), "png", exif=b"Exif\0\0 no exif at all")
    assert pixels(Pictures().from_file("a", content))[0, 0].tolist() == list(SKIN)


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp", "png"])
def test_further_frames_are_reported_once(suffix):
    frames = [Image.new("L", (5, 5), 50 * i) for i in range(1, 4)]
    lossless = {"lossless": True} if suffix == "webp" else {}
    content = saved(frames[0], suffix, save_all=True, append_images=frames[1:], **lossless)
    pictures = Pictures()
    with pytest.warns(UserWarning, match=r"stimulus 'a' has 3 frames, and only the first is"):
        first = pictures.from_file("a", content)
    np.testing.assert_array_equal(pixels(first), 50)
    pictures.from_file("b", content)  # no second warning
    alone = saved(frames[0], suffix, **lossless)
    np.testing.assert_array_equal(pixels(Pictures().from_file("a", alone)), 50)


def test_a_frame_that_the_user_chose_is_shown():
    frames = [Image.new("L", (5, 5), 50 * i) for i in range(1, 4)]
    content = saved(frames[0], "tiff", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(content)) as image:
        image.seek(2)
        np.testing.assert_array_equal(pixels(Pictures().from_value("a", image)), 150)


def test_previews_in_a_photo_are_no_frames():
    two = [Image.new("RGB", (8, 8), SKIN)] * 2
    content = saved(two[0], "mpo", save_all=True, append_images=two[1:])
    assert Pictures().from_file("a", content).size == (8, 8)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("bits", "levels"), [(12, 17), (10, 5), (14, 65), (1, 1)])
def test_few_bits_in_16_are_reported(suffix, bits, levels):
    values = np.arange(2**bits, dtype=np.uint16).reshape(1, -1)
    message = f"'a' has 16 bits and is dark, .* {2**bits - 1} of 65535, and keeps {levels} of"
    with pytest.warns(UserWarning, match=message):
        found = Pictures().from_file("a", saved(Image.fromarray(values), suffix))
    assert len(np.unique(pixels(found))) == levels


def test_16_bits_are_no_reason_for_a_warning():
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    found = Pictures().from_file("a", saved(Image.fromarray(values)))
    np.testing.assert_array_equal(pixels(found)[..., 0], np.round(values / 257))


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tga", "tiff", "png", "jp2"])
@pytest.mark.parametrize("width", [5, 16, 160])
def test_dark_images_of_8_bits_are_no_deep_ones(tmp_path, suffix, width):
    Image.new("RGB", (width, 16), (9, 9, 9)).save(tmp_path / f"a.{suffix}")
    assert Stimuli.from_folder(tmp_path)[0].getpixel((0, 0)) == (9, 9, 9)


def test_dark_colours_of_16_bits_are_reported():
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\0" + np.arange(4096, dtype=">u2").repeat(3).tobytes()  # no filter; 12 bits in 16
    header = struct.pack(">IIBBBBB", 4096, 1, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    with pytest.warns(UserWarning, match=r"16 bits and is dark, no brighter than 15 of 255"):
        Pictures().from_file("a", content)


MASK = (np.arange(16).reshape(4, 4) % 2).astype(np.uint8)


@pytest.mark.parametrize("mask", [MASK, Image.fromarray(MASK), np.stack([MASK] * 3, axis=-1)])
def test_masks_of_0_and_1_are_reported(mask):
    with pytest.warns(UserWarning, match=r"'a' has only the values 0 and 1 of 255"):
        Pictures().from_value("a", mask)


def test_files_of_masks_are_reported():
    with pytest.warns(UserWarning, match=r"'a' has only the values 0 and 1 of 255"):
        Pictures().from_file("a", saved(Image.fromarray(MASK)))


@pytest.mark.parametrize("level", [0, 1])
def test_dark_images_are_no_masks(level):
    Pictures().from_value("a", np.full((4, 4), level, np.uint8))
    Pictures().from_value("a", np.eye(4) * 1.0)  # floats from 0 to 1
