"""Noisy printed digits: an image-classification set that is drawn here, not downloaded.

Each image is one digit in one of twenty fonts that matplotlib carries inside its own package, with random stroke width,
size, stretch, slant, turn, place, ink and noise, and a stray line across it. Every class comes equally often, in random
order. Outlines are filled into master bitmaps of 128 x 128 points, thinned or thickened by a disc, softened by a box,
and then looked up through each image's inverse affine map at 2 x 2 places a pixel.

Why the bytes are the same on every machine: nothing is rounded by floating point. Outlines are read in whole font
units that no hinter, FreeType version or screen resolution has touched; all that follows is integer or fixed-point
arithmetic; a turn is a rational point on the circle, so no sine is asked of any maths library; and chance comes from
numpy's `RandomState`, whose stream is frozen, with every dtype stated. `SHA256` is the proof, and `make` checks it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triplicate.datasets import Dataset, DataSource
from triplicate.datasets.files.idx import grey_images
from triplicate.datasets.files.places import cache_dir
from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.files.regular import is_there
from triplicate.parts import part

VERSION = 1
SHA256 = "a3225abbbd0ae95477782fec22c1d38c1f2fda4f395f495a25937e62d22acaf4"
CLASSES: tuple[str, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
TRAIN_COUNT = 12_000
TEST_COUNT = 2_000
SIDE = 28  # grey pixels: 0 is background, 255 is ink

# Beginnings and endings of font files under matplotlib's mpl-data/fonts/ttf, the same bytes from 3.8 to 3.11.
_FONTS = {
    "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
    "cm": ("r10", "b10", "ss10", "tt10"),
}
_MOVE, _LINE, _CURVE = 1, 2, 3  # path codes as matplotlib.path.Path numbers them

_MASTER_SIDE = 128
_MASTER_HEIGHT = 96  # of every digit, in master points
_GRID = 16  # outline steps per master point
_ONE = 1 << 16  # fixed point: 16 bits behind the point
# Sixteenths of a pixel from the middle of an image to the middles of its pixels, and to two samples in each.
_PIXELS = np.arange(1 - SIDE, SIDE, 2) * 8
_SAMPLES = np.arange(1 - 2 * SIDE, 2 * SIDE, 2) * 4

_CHUNK = 250  # images drawn at once, few enough for the processor's cache; another number would give other bytes
_RANGES = {  # what is drawn for every image, in this order, both ends included
    "paper": (0, 20),  # grey of the background
    "font": (0, 19),  # of the masters, as is the stroke
    "stroke": (0, 3),
    "height": (16 * 16, 22 * 16),  # of the digit, sixteenths of a pixel
    "stretch": (52, 76),  # width against height, of 64
    "slant": (-16, 16),  # sideways steps per step down, of 64
    "turn": (-200, 200),  # tangent of half the angle, of 1024: about 22 degrees either way
    "right": (-28, 28),  # shift, sixteenths of a pixel
    "down": (-28, 28),
    "ink": (90, 230),  # grey added by full ink
    "line_turn": (-1024, 1023),  # as "turn": any direction
    "line_place": (-12 * 16, 12 * 16),  # distance from the middle, sixteenths of a pixel
    "line_width": (6, 24),  # half width, sixteenths of a pixel
    "line_ink": (0, 150),
    "grain": (10, 38),  # noise: standard deviation in grey levels, nearly
}

_Ints = NDArray[np.int64]
_Bytes = NDArray[np.uint8]
_Draws = dict[str, _Ints]  # by the names in _RANGES, int64 [images, 1, 1] each


class GlyphsMismatch(RuntimeError):
    """The digits drawn on this machine are not the ones that this version of the set names."""


@dataclass(frozen=True)
class Glyphs:
    """The whole set, uint8 throughout; a label is a place in `CLASSES`."""

    train_images: _Bytes  # [12000, 28, 28]
    train_labels: _Bytes  # [12000]
    test_images: _Bytes  # [2000, 28, 28]
    test_labels: _Bytes  # [2000]


@part("glyphs")
@dataclass(frozen=True)
class GlyphsSource(DataSource):
    """Digits drawn with matplotlib's fonts: 12,000 + 2,000 grey images of 28×28, drawn once and kept in the cache."""

    def read(self, data_dir: Path | None) -> Dataset:
        try:
            made = load(cache_dir())
        except GlyphsMismatch as error:
            raise UserError("dataset glyphs", str(error), "install what requirements.txt locks") from error
        return Dataset(
            train=grey_images(made.train_images, made.train_labels),
            test=grey_images(made.test_images, made.test_labels),
            classes=CLASSES,
        )


def make() -> Glyphs:
    """Draw the set (some seconds on one core); raise GlyphsMismatch if a single byte differs."""
    return _checked(_draw())


def load(cache_dir: Path) -> Glyphs:
    """The set from `cache_dir`/glyphs-v1.npz if that is sound; else drawn, and stored there if that can be done."""
    path = cache_dir / f"glyphs-v{VERSION}.npz"
    # A cut or flipped byte can surface as almost any error of zipfile, zlib or numpy; whichever it is, draw anew.
    # The file is opened here because numpy leaves one of its own open when the zip directory is cut off.
    with contextlib.suppress(Exception):
        if is_there(path):
            with path.open("rb") as file, np.load(file) as stored:
                return _checked(Glyphs(**stored))
    glyphs = make()
    content = io.BytesIO()
    np.savez(content, **vars(glyphs))  # uncompressed: noise hardly shrinks
    with contextlib.suppress(OSError):  # a full disk, say: the set is drawn again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, content.getvalue())
    return glyphs


def _checked(glyphs: Glyphs) -> Glyphs:
    """The same set; raises GlyphsMismatch unless types, shapes and bytes are all those of this version."""
    arrays = (glyphs.train_images, glyphs.train_labels, glyphs.test_images, glyphs.test_labels)
    shapes = ((TRAIN_COUNT, SIDE, SIDE), (TRAIN_COUNT,), (TEST_COUNT, SIDE, SIDE), (TEST_COUNT,))
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    if digest != SHA256 or shapes != tuple(array.shape for array in arrays if array.dtype == np.uint8):
        raise GlyphsMismatch(
            f"The glyphs drawn here hash to {digest}, not to {SHA256} as version {VERSION} must; "
            "matplotlib's bundled fonts or numpy's RandomState differ on this machine."
        )
    return glyphs


def _draw() -> Glyphs:
    """The whole set, unchecked."""
    masters = _masters()
    random = np.random.RandomState(20_240_229)
    arrays = []
    for count in (TRAIN_COUNT, TEST_COUNT):
        # A stable sort by random keys is a shuffle that leans on no library's own shuffling.
        order = random.randint(0, 1 << 62, size=count, dtype=np.int64).argsort(kind="stable")
        labels = (order % len(CLASSES)).astype(np.uint8)
        images = [_images(random, masters, chunk) for chunk in np.split(labels, count // _CHUNK)]
        arrays += [np.concatenate(images), labels]
    return Glyphs(*arrays)


def _masters() -> _Bytes:
    """Softened bitmaps, 0 to 25: uint8 [fonts * digits, strokes, master side, master side]."""
    from matplotlib import get_data_path  # only here: a stored set is read without it
    from matplotlib.ft2font import FT2Font, LoadFlags

    bitmaps = []
    for name in [f"{start}{end}.ttf" for start, ends in _FONTS.items() for end in ends]:
        font = FT2Font(str(Path(get_data_path(), "fonts", "ttf", name)))
        for digit in CLASSES:
            font.load_char(ord(digit), flags=LoadFlags.NO_SCALE | LoadFlags.IGNORE_TRANSFORM)
            vertices, codes = font.get_path()
            units = np.rint(vertices * 64).astype(np.int64)  # get_path divides by 64 even what it must not scale
            bitmaps.append(_strokes(_fill(_edges(units, codes.tolist()))))
    return np.array(bitmaps)


def _edges(vertices: _Ints, codes: list[int]) -> _Ints:
    """An outline's edges in grid steps, y down, amid the master bitmap: int64 [edges, 2 ends, x and y]."""
    contours: list[list[_Ints]] = []
    walk = zip(codes, vertices, strict=True)
    for code, vertex in walk:
        if code == _MOVE:
            contours.append([vertex])
        elif code == _LINE:
            contours[-1].append(vertex)
        elif code == _CURVE:  # this vertex is the control point; the end point comes next
            contours[-1] += _curve(contours[-1][-1], vertex, next(walk)[1])
        # The only other code closes a contour, as np.roll does below.
    edges = np.concatenate([np.stack([contour, np.roll(contour, -1, axis=0)], axis=1) for contour in contours])
    low, high = edges.min(axis=(0, 1)), edges.max(axis=(0, 1))
    from_middle = 2 * edges - (low + high)  # doubled, so that the middle is a whole number
    steps: _Ints = from_middle * (_MASTER_HEIGHT * _GRID) // (2 * (high[1] - low[1])) * [1, -1]
    return steps + _MASTER_SIDE * _GRID // 2


def _curve(start: _Ints, control: _Ints, end: _Ints) -> list[_Ints]:
    """Eight points on a quadratic Bezier curve after its start, rounded down: int64 [2] each."""
    return [((8 - k) ** 2 * start + 2 * (8 - k) * k * control + k**2 * end) // 64 for k in range(1, 9)]


def _fill(edges: _Ints) -> NDArray[np.bool_]:
    """The points whose centres an outline winds round: bool [master side, master side]."""
    winding = np.zeros((_MASTER_SIDE, _MASTER_SIDE), dtype=np.int64)
    for (x0, y0), (x1, y1) in (edges - _GRID // 2).tolist():  # now the centres are at multiples of _GRID
        first, last = sorted((-(-y0 // _GRID), -(-y1 // _GRID)))  # rounded up
        for row in range(first, last):  # every row whose centres this edge crosses counts what is right of it
            x = x0 + (row * _GRID - y0) * (x1 - x0) // (y1 - y0)
            winding[row, x // _GRID + 1 :] += 1 if y1 > y0 else -1
    return winding.astype(np.bool_)


def _strokes(filled: NDArray[np.bool_]) -> _Bytes:
    """The digit thinned, as it is and thickened twice, all softened: uint8 [strokes, master side, master side]."""
    from scipy import ndimage  # only here: it takes half a second

    down, right = np.ogrid[-4:5, -4:5]
    distance = down**2 + right**2  # squared
    thin = ndimage.binary_erosion(filled, distance <= 1)
    thick = [ndimage.binary_dilation(filled, distance <= radius**2) for radius in (2, 4)]
    strokes = np.array([thin, filled, *thick], dtype=np.uint8)
    # Sums over a box about as large as a pixel of the image: whole numbers up to 25, which floating point holds.
    return np.asarray(ndimage.convolve(strokes, np.ones((1, 5, 5))))


def _images(random: np.random.RandomState, masters: _Bytes, labels: _Bytes) -> _Bytes:
    """One image for each label: paper, ink, a stray line and grain added up: uint8 [images, 28, 28]."""
    draw: _Draws = {}
    for name, (low, high) in _RANGES.items():
        draw[name] = random.randint(low, high + 1, size=(len(labels), 1, 1), dtype=np.int64)
    # Four bytes add up to nearly normal noise, whose standard deviation is sqrt(4 * (256**2 - 1) / 12): 148.
    noise = random.randint(0, 256, size=(4, len(labels), SIDE, SIDE), dtype=np.uint8).sum(axis=0, dtype=np.int64)
    grain = (noise - 4 * 255 // 2) * draw["grain"] // 148
    grey: _Ints = draw["paper"] + _ink(draw, masters, labels) + _line(draw) + grain
    return np.clip(grey, 0, 255).astype(np.uint8)


def _ink(draw: _Draws, masters: _Bytes, labels: _Bytes) -> _Ints:
    """Grey that the digit adds to each pixel: int64 [images, 28, 28]."""
    # Undo the turn, then the slant, then the stretch and the size, as one 2 x 2 fixed-point matrix.
    cosine, sine = _turn(draw["turn"])
    points = _MASTER_HEIGHT * 16 * _ONE // draw["height"]  # master points per pixel
    column_by_x = (64 * cosine - draw["slant"] * sine) * points // (draw["stretch"] * _ONE)
    column_by_y = (64 * sine + draw["slant"] * cosine) * points // (draw["stretch"] * _ONE)
    row_by_x = -sine * points // _ONE
    row_by_y = cosine * points // _ONE

    x = _SAMPLES[None, None, :] - draw["right"]
    y = _SAMPLES[None, :, None] - draw["down"]
    column = _MASTER_SIDE // 2 + ((column_by_x * x // 16 + column_by_y * y // 16) >> 16)
    row = _MASTER_SIDE // 2 + ((row_by_x * x // 16 + row_by_y * y // 16) >> 16)
    index = (draw["font"] * len(CLASSES) + labels[:, None, None], draw["stroke"], row, column)
    # What falls outside the master is clipped to its border, which is empty too.
    found = masters.take(np.ravel_multi_index(index, masters.shape, mode="clip"))
    ink: _Ints = found.reshape(-1, SIDE, 2, SIDE, 2).sum(axis=(2, 4), dtype=np.int64)
    return ink * draw["ink"] // 100  # full ink: the 5 x 5 points of the softening box, in all 2 x 2 samples


def _line(draw: _Draws) -> _Ints:
    """Grey that one straight soft-edged line adds to each pixel: int64 [images, 28, 28]."""
    cosine, sine = _turn(draw["line_turn"])
    across = (cosine * _PIXELS[None, None, :] + sine * _PIXELS[None, :, None]) >> 16
    depth: _Ints = draw["line_width"] - np.abs(across - draw["line_place"])
    return np.clip(depth, 0, 16) * draw["line_ink"] // 16


def _turn(tangent: _Ints) -> tuple[_Ints, _Ints]:
    """Cosine and sine, 16 bits behind the point, of twice the angle whose tangent is given in 1024ths."""
    # For every rational t, (1 - t*t) / (1 + t*t) and 2*t / (1 + t*t) lie on the circle.
    whole, part = 1024 * 1024, tangent * tangent
    return (whole - part) * _ONE // (whole + part), 2 * 1024 * tangent * _ONE // (whole + part)
