"""The canvas of a synthetic radiograph: coordinates of its pixels, and basic shapes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageDraw
from scipy import ndimage

from scoring.phantom.anatomy import Points
from scoring.phantom.seeds import Rng

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
Window = tuple[slice, slice]

# Depth in joint units at which the beam passes through the full thickness of a bone.
_HALF_THICKNESS = np.float32(0.42)


@dataclass(frozen=True)
class Canvas:
    """An image in progress: the joint coordinates of its pixels (x across, y along), and a random texture.

    `scale` is in pixels per joint unit, `angle` in radians, `centre` the pixel (x, y) of the origin. `texture` is the
    trabecular net; `patches` are denser and thinner areas that are much larger than trabeculae.
    """

    side: int
    scale: float
    angle: float
    centre: tuple[float, float]
    across: Floats
    along: Floats
    texture: Floats
    patches: Floats

    def to_pixels(self, points: Points) -> Points:
        """Return the pixel coordinates (x, y) of points in joint units."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        x, y = points[:, 0] * self.scale, points[:, 1] * self.scale
        return np.stack([self.centre[0] + cosine * x + sine * y, self.centre[1] + sine * x - cosine * y], axis=1)


def blank_canvas(
    side: int, scale: float, angle: float, centre: tuple[float, float], *, trabecula: float, rng: Rng
) -> Canvas:
    """Return a canvas with a random texture; `trabecula` is the relative spacing of the trabecular net."""
    cosine, sine = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
    x = np.arange(side, dtype=np.float32)[None, :] - np.float32(centre[0])
    y = np.arange(side, dtype=np.float32)[:, None] - np.float32(centre[1])
    across, along = cosine * x + sine * y, sine * x - cosine * y
    # The size of trabeculae does not depend on the size of the image.
    texture, patches = _net(across, along, 120.0 / trabecula, rng), _net(across, along, 16.0, rng)
    return Canvas(side, scale, angle, centre, across, along, texture, patches)


def place(points: Points, shift: tuple[float, float], turn: float, pivot: float) -> Points:
    """Rotate points by `turn` radians around the height `pivot` of the midline, then shift them."""
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y = points[:, 0], points[:, 1] - pivot
    return np.stack([cosine * x - sine * y + shift[0], sine * x + cosine * y + pivot + shift[1]], axis=1)


@lru_cache(maxsize=1)
def _texture_bank() -> Floats:
    """Return tiles of a net of bright threads that run mostly along y, mean 0 and SD 1: (tile, 256, 256)."""
    rng = np.random.default_rng(20_171_222)
    tiles = []
    for _ in range(6):
        fine = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (5.5, 1.5), mode="wrap")
        cross = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (1.8, 2.6), mode="wrap")
        threads = np.exp(-((fine / fine.std()) ** 2) * 2.2) + 0.6 * np.exp(-((cross / cross.std()) ** 2) * 2.2)
        cloud = ndimage.gaussian_filter(rng.standard_normal((256, 256)), 14, mode="wrap")
        tile = threads - threads.mean() + 0.18 * cloud / cloud.std()
        tiles.append(tile / tile.std())
    return np.asarray(tiles, dtype=np.float32)


def _net(across: Floats, along: Floats, per_unit: float, rng: Rng) -> Floats:
    """Return a random tile of the trabecular net over the image, with `per_unit` tile pixels per joint unit."""
    bank = _texture_bank()
    tile = bank[rng.integers(len(bank))]
    x_start, y_start = rng.integers(0, 256, 2)
    columns = (across * np.float32(per_unit) + np.float32(x_start)).astype(np.int32) & 255
    rows = (along * np.float32(per_unit) + np.float32(y_start)).astype(np.int32) & 255
    return np.asarray(tile[rows, columns], dtype=np.float32)


def ramp(values: Floats, low: float, high: float) -> Floats:
    """Return a smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)


def bell(values: Floats, centre: float, width: float) -> Floats:
    """Return a bell curve that is 1 at `centre`."""
    return np.asarray(np.exp(-(((values - np.float32(centre)) / np.float32(width)) ** 2)), dtype=np.float32)


def chord(depth: Floats) -> Floats:
    """Return the relative length of the beam's path through a rounded bone: 0 at the edge, 1 where it is thickest."""
    level = np.clip(depth / _HALF_THICKNESS, 0, 1)
    return np.asarray(np.sqrt(level * (2 - level)), dtype=np.float32)


def finger(across: Floats, half_width: Floats | np.float32) -> Floats:
    """Return the thickness of a round finger: 1 on its axis, 0 from `half_width` outwards."""
    return np.asarray(np.sqrt(np.clip(1 - (across / half_width) ** 2, 0, 1)), dtype=np.float32)


def coverage(
    side: int, polygons: Iterable[Points] = (), discs: Iterable[tuple[tuple[float, float], float]] = ()
) -> Floats:
    """Return the share of each pixel, 0 to 1, that polygons (x, y) and discs ((x, y), radius) in pixels cover."""
    # Shapes are drawn at twice the size.
    image = Image.new("L", (side * 2, side * 2), 0)
    brush = ImageDraw.Draw(image)
    for polygon in polygons:
        brush.polygon(((polygon + 0.5) * 2 - 0.5).ravel().tolist(), fill=255)
    for centre, radius in discs:
        x, y = ((value + 0.5) * 2 - 0.5 for value in centre)
        brush.ellipse((x - 2 * radius, y - 2 * radius, x + 2 * radius, y + 2 * radius), fill=255)
    return np.asarray(image.reduce(2), dtype=np.float32) / np.float32(255)


def encode_jpeg(grey: Grey, quality: int) -> bytes:
    """Return an image as a grey JPEG file."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(grey)[:, :, None], quality=quality, colorspace="GRAY"))
