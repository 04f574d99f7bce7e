"""Resizing to the bit as the releases do it: with Pillow, torchvision's arithmetic, and torch's nearest."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from fssbench.errors import UsageError
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fssbench.protocols.label_maps import counted_label, ignored_pixels, input_label, nearest_label, support_mask
from fssbench.protocols.rules import ResizeRule
from fssbench.protocols.transforms import framed_shape, input_image, padded_shape, scored_shape

SIZES = [(400, 400), (192, 192), (473, 473), (50, 50), (7, 3), (1, 1), (333, 500), (500, 333), (401, 399)]


def synthetic_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_released(photo: Image.Image, height: int, width: int) -> torch.Tensor:
    """Resize, ToTensor, Normalize, each step as torchvision defines it for a PIL image."""
    resized = photo.resize((width, height), Image.Resampling.BILINEAR)
    raw = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
    scaled = raw.view(height, width, 3).permute(2, 0, 1).to(torch.float32) / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float32)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float32)
    return (scaled - mean[:, None, None]) / std[:, None, None]


@pytest.mark.parametrize("size", [(400, 400), (192, 192), (60, 100), (375, 500)])
def test_synthetic_photos_equal_the_release(size: tuple[int, int]) -> None:
    photo = synthetic_photo(375, 500)
    given = input_image(photo, size)
    assert given.dtype == torch.float32
    assert given.shape == (3, *size)
    assert given.is_contiguous()
    assert torch.equal(given, as_released(Image.fromarray(photo), *size))


@pytest.mark.parametrize("folder", ["VOC2012/JPEGImages", "COCO2014/val2014", "fss1000-sample/african_elephant"])
def test_real_photos_equal_the_release(shared: Path, folder: str) -> None:
    paths = sorted((shared / "data" / folder).glob("*.jpg"))[::25][:12]
    assert paths
    for path in paths:
        with Image.open(path) as photo:
            rgb = photo.convert("RGB")
        assert torch.equal(input_image(np.asarray(rgb), (400, 400)), as_released(rgb, 400, 400)), path.name


def test_known_pixels() -> None:
    grey = np.full((10, 20, 3), 128, dtype=np.uint8)
    expected = (torch.tensor(128 / 255) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.equal(input_image(grey, (4, 6)), expected[:, None, None].expand(3, 4, 6))


def test_shrinking_averages_over_all_pixels() -> None:
    photo = np.zeros((8, 8, 3), dtype=np.uint8)
    photo[::4] = 255  # a filter that looks at the nearest two rows only would see none of the white ones
    red = input_image(photo, (2, 2))[0] * 0.229 + 0.485
    assert 0.15 < red.min() <= red.max() < 0.35


def test_the_photo_is_left_as_it_was() -> None:
    photo = synthetic_photo(20, 30)
    before = photo.copy()
    input_image(photo, (20, 30)).fill_(0)
    input_image(photo, (10, 10))
    assert np.array_equal(photo, before)
    photo.flags.writeable = False
    input_image(photo, (20, 30))
    input_image(photo[:, ::-1], (20, 30))


@pytest.mark.parametrize("photo", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_photo_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match="RGB uint8"):
        input_image(photo, (4, 4))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", [(375, 500), (500, 333), (224, 224), (1, 1), (427, 640), (3, 400)])
def test_nearest_equals_torch_on_floats(source: tuple[int, int], size: tuple[int, int]) -> None:
    label = np.random.default_rng(0).integers(0, 256, source, dtype=np.uint8)
    released = F.interpolate(torch.tensor(label)[None, None].float(), size, mode="nearest").squeeze()
    given = nearest_label(label, size)
    assert given.dtype == np.uint8
    assert given.shape == size
    assert np.array_equal(given.astype(np.float32), released.reshape(size).numpy())


def test_nearest_takes_the_pixel_at_the_upper_left() -> None:
    label = np.arange(4, dtype=np.uint8)[None]
    assert nearest_label(label, (1, 2)).tolist() == [[0, 2]]
    assert nearest_label(label, (1, 8)).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_same_size_is_a_copy() -> None:
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    same = nearest_label(label, (3, 4))
    assert np.array_equal(same, label)
    same[:] = 0
    assert label[2, 3] == 11


@pytest.mark.parametrize("label", [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4), np.int64), np.zeros((4, 4), bool)])
def test_what_is_no_label_map_is_refused(label: np.ndarray) -> None:
    with pytest.raises(UsageError, match="label map must be uint8 or uint16"):
        nearest_label(label, (4, 4))


def test_support_mask_keeps_the_class_and_the_rim() -> None:
    label = np.array([[0, 7, 255], [8, 7, 7]], dtype=np.uint8)
    assert support_mask(label, 7, (2, 3)).tolist() == [[0, 1, 255], [0, 1, 1]]
    assert support_mask(label, 9, (2, 3)).tolist() == [[0, 0, 255], [0, 0, 0]]


def test_support_mask_is_resized_before_it_is_made_binary() -> None:
    label = np.random.default_rng(1).choice(np.array([0, 3, 5, 255], dtype=np.uint8), (375, 500))
    resized = nearest_label(label, (400, 400))
    mask = support_mask(label, 5, (400, 400))
    assert mask.dtype == np.uint8
    assert np.array_equal(mask == 1, resized == 5)
    assert np.array_equal(mask == 255, resized == 255)
    assert set(np.unique(mask)) == {0, 1, 255}


def test_the_first_and_the_last_label_value_are_classes() -> None:
    label = np.array([[1, 254]], np.uint8)
    assert support_mask(label, 1, (1, 2)).tolist() == [[1, 0]]
    assert support_mask(label, 254, (1, 2)).tolist() == [[0, 1]]


@pytest.mark.parametrize("class_id", [0, 255, -1, 256])
def test_background_and_ignore_are_no_class(class_id: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 254"):
        support_mask(np.zeros((2, 2), np.uint8), class_id, (2, 2))


def test_maps_of_more_than_254_classes() -> None:
    label = np.array([[0, 254, 255], [256, 1000, 255]], dtype=np.uint16)
    doubled = nearest_label(label, (4, 6))
    assert doubled.dtype == np.uint16
    assert np.array_equal(doubled[::2, ::2], label)
    mask = support_mask(label, 255, (2, 3))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0, 1], [0, 0, 1]], "255 is a class there"
    assert support_mask(label, 1000, (2, 3)).tolist() == [[0, 0, 0], [0, 1, 0]]
    with pytest.raises(UsageError, match="from 1 to 65535"):
        support_mask(label, 0, (2, 3))


def padded_as_released(photo: np.ndarray, label: np.ndarray, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """PFENet's Resize, ToTensor and Normalize, read from their description."""
    height, width = label.shape
    ratio = side * 1.0 / max(height, width)
    new = (side, int(width * ratio)) if height >= width else (int(height * ratio), side)
    rows, columns = (length - length % 8 for length in new)
    image, mask = np.zeros((side, side, 3)), np.ones((side, side)) * 255
    image[:rows, :columns] = cv2.resize(np.float32(photo), dsize=(columns, rows), interpolation=cv2.INTER_LINEAR)
    mask[:rows, :columns] = cv2.resize(label.astype(np.float32), dsize=(columns, rows), interpolation=cv2.INTER_NEAREST)
    channels = torch.from_numpy(image.transpose(2, 0, 1)).float()
    for channel, mean, std in zip(channels, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True):
        channel.sub_(mean * 255).div_(std * 255)
    return channels, torch.from_numpy(mask).long()


@pytest.mark.parametrize("side", [473, 641, 192])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (500, 500), (333, 501), (480, 640), (97, 61)])
def test_padding_equals_the_release(height: int, width: int, side: int) -> None:
    photo = synthetic_photo(height, width)
    label = np.random.default_rng(1).choice(np.array([0, 1, 7, 255], np.uint8), (height, width))
    image, mask = padded_as_released(photo, label, side)
    assert torch.equal(input_image(photo, (side, side), "opencv-pad"), image)
    assert np.array_equal(input_label(label, (side, side), "opencv-pad"), mask.numpy())
    # The release makes the mask binary before it resizes it.
    binary = np.where(label == 255, 255, label == 7).astype(np.uint8)
    given = support_mask(label, 7, (side, side), "opencv-pad")
    assert np.array_equal(given, padded_as_released(photo, binary, side)[1].numpy())


def test_padded_photos_leave_a_column_and_black_beside_them() -> None:
    assert padded_shape((375, 500), (473, 473)) == (352, 472)
    assert padded_shape((640, 480), (641, 641)) == (640, 480)
    white = np.full((375, 500, 3), 255, dtype=np.uint8)
    image = input_image(white, (473, 473), "opencv-pad")
    black = -torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])
    for beside in (image[:, 352:, :], image[:, :, 472:]):
        assert torch.allclose(beside, black[:, None, None].expand_as(beside))
    assert (image[:, :352, :472] > 2).all()


def test_what_can_not_be_padded_is_refused() -> None:
    photo = synthetic_photo(8, 500)
    with pytest.raises(UsageError, match="an image of 8 x 500 pixels is too narrow to be padded to 473"):
        input_image(photo, (473, 473), "opencv-pad")
    rules: list[ResizeRule] = ["opencv-pad", "opencv-pad-squeezed"]
    for rule in rules:
        with pytest.raises(UsageError, match="images are padded to a square, not to 473 x 641"):
            input_image(photo, (473, 641), rule)


def test_a_narrow_image_in_a_square_has_at_least_one_pixel_across() -> None:
    assert framed_shape((2, 5000), (512, 512)) == (1, 512)
    assert framed_shape((5000, 2), (512, 512)) == (512, 1)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (480, 640), (333, 500), (200, 97), (512, 512)])
def test_a_padded_square_is_counted_whole(height: int, width: int) -> None:
    """FSSDINO's LongestMaxSize, PadIfNeeded and nearest-exact, read from their description."""
    photo, side = synthetic_photo(height, width), 512
    label = np.random.default_rng(3).choice(np.array([0, 1, 7], np.uint8), (height, width))
    rows, columns = (round(length * (side / max(height, width))) for length in (height, width))
    image = torch.zeros(3, side, side)
    small = cv2.resize(photo, (columns, rows), interpolation=cv2.INTER_LINEAR)
    image[:, :rows, :columns] = as_released(Image.fromarray(small), rows, columns)
    assert torch.equal(input_image(photo, (side, side), "opencv-pad-squeezed"), image)
    square = np.zeros((side, side), np.uint8)
    square[:rows, :columns] = cv2.resize(label, (columns, rows), interpolation=cv2.INTER_NEAREST)
    counted = F.interpolate(torch.from_numpy(square)[None, None].float(), (height, width), mode="nearest-exact")
    assert np.array_equal(counted_label(label, (side, side), "opencv-pad-squeezed"), counted[0, 0].numpy())
    # A support's padding is in neither side of its mask.
    mask = support_mask(label, 7, (side, side), "opencv-pad-squeezed")
    assert np.array_equal(mask[:rows, :columns] == 1, square[:rows, :columns] == 7)
    assert (mask[rows:] == 255).all()
    assert (mask[:, columns:] == 255).all()


def test_pillow_can_be_bicubic() -> None:
    photo = synthetic_photo(375, 500)
    resized = Image.fromarray(photo).resize((448, 300), Image.Resampling.BICUBIC)
    assert torch.equal(input_image(photo, (300, 448), "pillow-bicubic"), as_released(resized, 300, 448))
    label = np.random.default_rng(2).choice(np.array([0, 3, 255], np.uint8), (375, 500))
    assert np.array_equal(input_label(label, (300, 448), "pillow-bicubic"), input_label(label, (300, 448), "pillow"))


@pytest.mark.parametrize("size", [(417, 417), (192, 100), (7, 3)])
def test_pillow_squashes_label_maps_as_panet_does(size: tuple[int, int]) -> None:
    label = np.random.default_rng(2).choice(np.array([0, 3, 255], np.uint8), (375, 500))
    squashed = Image.fromarray(label).resize((size[1], size[0]), Image.Resampling.NEAREST)
    assert np.array_equal(input_label(label, size, "pillow"), np.asarray(squashed))
    assert not np.array_equal(input_label(label, size, "pillow"), nearest_label(label, size))
    photo = synthetic_photo(375, 500)
    assert torch.equal(input_image(photo, size, "pillow"), as_released(Image.fromarray(photo), *size))


@pytest.mark.parametrize("shape", [(375, 500), (30, 40)])
def test_pmms_counts_on_the_label_map_that_came_back(shape: tuple[int, int]) -> None:
    label, size = np.random.default_rng(4).choice(np.array([0, 3, 255], np.uint8), shape), (321, 100)
    there = Image.fromarray(label).resize((size[1], size[0]), Image.Resampling.NEAREST)
    back = F.interpolate(torch.from_numpy(np.array(there))[None, None].float(), shape, mode="nearest")
    counted = counted_label(label, size, "pillow-and-back")
    assert np.array_equal(counted, back[0, 0].numpy())
    assert not np.array_equal(counted, label)
    assert np.array_equal(counted_label(label, size, "pillow"), label)


def test_ignored_are_the_padding_and_on_request_the_rim() -> None:
    label = np.zeros((40, 80), np.uint8)
    label[:20, 40:] = 255
    rim, padding = (ignored_pixels(label, (16, 16), "opencv-pad", rim=given) for given in (True, False))
    expected = np.zeros((16, 16), bool)
    expected[8:] = True
    assert np.array_equal(padding, expected)
    expected[:4, 8:] = True
    assert np.array_equal(rim, expected)
    assert not ignored_pixels(label, (16, 16), "pillow", rim=False).any()
    # In a map of 16 bits 255 is a class.
    assert not ignored_pixels(label.astype(np.uint16), (16, 16), "pillow", rim=True).any()


def test_opencv_squashes_as_hdmnet_does() -> None:
    """HDMNet's Resize: OpenCV on float32, the whole photo onto a square."""
    photo, size = synthetic_photo(375, 500), (96, 96)
    label = np.random.default_rng(2).choice(np.array([0, 3, 255], np.uint8), (375, 500))
    image = cv2.resize(photo.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    mean, std = (255 * np.array(values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = torch.from_numpy(((image - mean) / std).astype(np.float32)).permute(2, 0, 1)
    torch.testing.assert_close(input_image(photo, size, "opencv"), expected, rtol=0, atol=1e-5)
    squashed = cv2.resize(label.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(input_label(label, size, "opencv"), squashed)
    assert scored_shape((375, 500), "opencv") == (375, 500)
    assert input_image(photo, (64, 96), "opencv").shape == (3, 64, 96)


def test_opencv_rounds_colours_as_albumentations_does_for_vat() -> None:
    photo, size = synthetic_photo(375, 500), (64, 96)
    image = np.ascontiguousarray(cv2.resize(photo, size[::-1], interpolation=cv2.INTER_LINEAR).astype("float32"))
    mean, std = (np.array(values, dtype=np.float32) * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    scalars = [np.array([*one.tolist(), last], np.float64) for one, last in ((mean, 0), (np.reciprocal(std), 1))]
    cv2.subtract(image, scalars[0], image)
    cv2.multiply(image, scalars[1], image)
    found = input_image(photo, size, "opencv-rounded")
    torch.testing.assert_close(found, torch.from_numpy(image).permute(2, 0, 1), rtol=0, atol=1e-6)
    assert not torch.allclose(found, input_image(photo, size, "opencv"), atol=1e-3)
    label = np.random.default_rng(2).choice(np.array([0, 3, 255], np.uint8), (375, 500))
    assert np.array_equal(
        input_label(label, size, "opencv-rounded"), cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST)
    )


def test_opencv_scales_colours_as_torchvision_does_for_fptrans() -> None:
    photo, size = synthetic_photo(375, 500), (64, 96)
    resized = cv2.resize(np.float32(photo), size[::-1], interpolation=cv2.INTER_LINEAR)
    expected = torch.from_numpy(resized).permute(2, 0, 1).div(255)
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        expected[channel].sub_(mean).div_(std)
    assert torch.equal(input_image(photo, size, "opencv-scaled"), expected)
    label = np.random.default_rng(2).choice(np.array([0, 3, 255], np.uint8), (375, 500))
    assert np.array_equal(
        input_label(label, size, "opencv-scaled"), cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST)
    )


def test_other_classes_of_an_episode_have_a_value_of_their_own() -> None:
    label = np.array([[0, 1, 2], [3, 255, 2]], np.uint8)
    assert support_mask(label, 2, (2, 3), "pillow", others=(1, 7)).tolist() == [[0, 254, 1], [0, 255, 1]]


@pytest.mark.parametrize(
    "rule", ["pillow-bilinear", "pillow", "opencv", "opencv-scaled", "opencv-rounded", "opencv-pad"]
)
def test_large_label_values_survive_every_rule(rule: ResizeRule) -> None:
    label = np.full((50, 40), 999, dtype=np.uint16)
    resized = input_label(label, (96, 96), rule)
    assert resized.dtype == np.uint16
    assert resized[0, 0] == 999


def test_a_padded_prediction_is_a_square_of_the_longer_side() -> None:
    assert scored_shape((375, 500), "opencv-pad") == (500, 500)
    assert scored_shape((375, 500), "pillow") == (375, 500)


@pytest.mark.parametrize(
    ("shape", "side", "released"),
    [
        ((296, 407), 473, (336, 472)),
        ((645, 600), 473, (472, 432)),
        ((98, 294), 192, (56, 192)),
        ((294, 196), 192, (192, 120)),
    ],
)
def test_sides_are_truncated_after_the_ratio_is_taken(
    shape: tuple[int, int], side: int, released: tuple[int, int]
) -> None:
    # 296 · 473 / 407 is 344, and 296 · (473 / 407) a hair less, of which int() leaves 343.
    assert padded_shape(shape, (side, side)) == released
    label = np.random.default_rng(1).choice(np.array([0, 1, 7, 255], np.uint8), shape)
    image, mask = padded_as_released(synthetic_photo(*shape), label, side)
    assert torch.equal(input_image(synthetic_photo(*shape), (side, side), "opencv-pad"), image)
    assert np.array_equal(input_label(label, (side, side), "opencv-pad"), mask.numpy())


@pytest.mark.parametrize("length", [58, 70, 105, 333, 500])
def test_which_pixel_is_the_nearest_is_decided_in_float32(length: int) -> None:
    # With a scale of 64 bits some of 58, 70 and 105 pixels would be others at 400.
    row = np.arange(length, dtype=np.uint16)[None]
    expected = F.interpolate(torch.from_numpy(row.astype(np.float32))[None, None], (1, 400), mode="nearest")
    assert nearest_label(row, (1, 400)).tolist() == expected[0, 0].to(torch.int64).tolist()
