"""The canvas of a phantom radiograph: where its pixels lie in joint units, and the shapes that are painted on it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from scoring.phantom.anatomy import Points

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """From joint units to pixels: turn, scale, shift."""

    scale: float
    angle: float
    centre: tuple[float, float]

    def to_pixels(self, points: Points) -> Points:
        """Places in the picture (x, y) of points in joint units."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        x, y = points[:, 0] * self.scale, points[:, 1] * self.scale
        return np.stack([self.centre[0] + cosine * x + sine * y, self.centre[1] + sine * x - cosine * y], axis=1)

    def grid(self, side: int) -> tuple[Floats, Floats]:
        """Joint coordinates (across, along) of every pixel."""
        cosine, sine = np.float32(np.cos(self.angle) / self.scale), np.float32(np.sin(self.angle) / self.scale)
        x = np.arange(side, dtype=np.float32)[None, :] - np.float32(self.centre[0])
        y = np.arange(side, dtype=np.float32)[:, None] - np.float32(self.centre[1])
        return cosine * x + sine * y, sine * x - cosine * y


@dataclass(frozen=True)
class Canvas:
    """The picture while it is drawn: where its pixels lie in joint units and the trabecular net over it."""

    view: View
    side: int
    across: Floats
    along: Floats
    texture: Floats
    patches: Floats
    """Denser and thinner places, much larger than trabeculae."""


def place(points: Points, shift: tuple[float, float], turn: float, pivot: float) -> Points:
    """Turn points by `turn` radians around the height `pivot` of the midline, then shift them."""
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y = points[:, 0], points[:, 1] - pivot
    return np.stack([cosine * x - sine * y + shift[0], sine * x + cosine * y + pivot + shift[1]], axis=1)


@lru_cache(maxsize=1)
def _texture_bank() -> Floats:
    """Tiles of a net of bright threads that run mostly along y, mean 0 and spread 1: (tile, 256, 256)."""
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


def net(across: Floats, along: Floats, per_unit: float, rng: np.random.Generator) -> Floats:
    """A random tile of the trabecular net laid over the picture, `per_unit` tile pixels to a joint unit."""
    bank = _texture_bank()
    tile = bank[rng.integers(len(bank))]
    x_start, y_start = rng.integers(0, 256, 2)
    columns = (across * np.float32(per_unit) + np.float32(x_start)).astype(np.int32) & 255
    rows = (along * np.float32(per_unit) + np.float32(y_start)).astype(np.int32) & 255
    net: Floats = tile[rows, columns]
    return net


def ramp(values: Floats, low: float, high: float) -> Floats:
    """A smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Floats = share * share * (3 - 2 * share)
    return smooth


def bell(values: Floats, centre: float, width: float) -> Floats:
    """A bell curve, 1 at `centre`."""
    bell: Floats = np.exp(-(((values - np.float32(centre)) / np.float32(width)) ** 2))
    return bell


_HALF_THICKNESS = np.float32(0.42)


def chord(depth: Floats) -> Floats:
    """Length of the beam's way through a rounded bone, 0 at its edge to 1 from `_HALF_THICKNESS` inwards."""
    level = np.clip(depth / _HALF_THICKNESS, 0, 1)
    length: Floats = np.sqrt(level * (2 - level))
    return length


def finger(across: Floats, half_width: Floats | np.float32) -> Floats:
    """Thickness of a round finger, 1 on its axis and 0 from `half_width` on."""
    thickness: Floats = np.sqrt(np.clip(1 - (across / half_width) ** 2, 0, 1))
    return thickness


def coverage(polygons: list[Points], side: int) -> Image.Image:
    """Filled polygons (pixels), at twice the resolution of the picture."""
    canvas = Image.new("L", (side * 2, side * 2), 0)
    brush = ImageDraw.Draw(canvas)
    for polygon in polygons:
        brush.polygon(((polygon + 0.5) * 2 - 0.5).ravel().tolist(), fill=255)
    return canvas


def as_share(canvas: Image.Image) -> Floats:
    """How much of each pixel is painted, 0 to 1."""
    return np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)
