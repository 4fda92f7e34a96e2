"""Noisy printed digits: an image-classification set that is drawn here, not downloaded.

What it is: 12,000 training and 2,000 test images of the digits 0 to 9, 28 x 28 grey pixels (0 is
background, 255 is ink), every class equally often, in random order, so that the file order can be
used as it stands. Each image is one digit in one of twenty fonts that matplotlib carries inside
its own package, with random stroke width, size, stretch, slant, turn, place, ink and noise, and
a stray line across it.

How it is made: the outlines are read in the font's own units, filled into master bitmaps of
128 x 128 points, thinned or thickened by a disc, softened by a box, and then looked up through
each image's inverse affine map at 2 x 2 places a pixel.

Why the bytes are the same on every machine: nothing is rounded by floating point. Font units are
whole numbers that no hinter, FreeType version or screen resolution has touched; everything after
them is integer or fixed-point arithmetic; a turn is a rational point on the circle, so no sine is
asked of any maths library; and chance comes from numpy's `RandomState`, whose stream is frozen,
through `randint` with its dtype stated. `SHA256` is the proof, and `make` checks it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
SHA256 = "a3225abbbd0ae95477782fec22c1d38c1f2fda4f395f495a25937e62d22acaf4"
CLASSES: tuple[str, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

TRAIN_COUNT = 12_000
TEST_COUNT = 2_000
SIDE = 28

# Font files under matplotlib's mpl-data/fonts/ttf, byte for byte the same from 3.8 to 3.11.
FONT_FILES: tuple[str, ...] = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSans-BoldOblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSansMono-Oblique.ttf",
    "DejaVuSansMono-BoldOblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSerif-BoldItalic.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralItalic.ttf",
    "STIXGeneralBolIta.ttf",
    "cmr10.ttf",
    "cmb10.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
)

# Path codes as matplotlib.path.Path numbers them (MOVETO, LINETO, CURVE3, CLOSEPOLY).
_MOVE, _LINE, _QUADRATIC, _CLOSE = 1, 2, 3, 79
_UNITS_PER_FONT_UNIT = 64  # FT2Font.get_path divides by 64 even what it was told not to scale
_CURVE_PIECES = 8

# Master bitmaps. A side of 2**7 lets a look-up join row and column by a shift.
_MASTER_BITS = 7
_MASTER_SIDE = 1 << _MASTER_BITS
_MASTER_HEIGHT = 96  # of every digit, in master points
_GRID = 16  # outline steps per master point
_STROKES: tuple[int, ...] = (-1, 0, 2, 4)  # disc radius in master points; negative thins
_BOX = 5  # about one pixel of the finished image

# Fixed point: 16 bits behind the point.
_POINT = 16
_ONE = 1 << _POINT
_SAMPLES = 2  # look-ups along each side of a pixel
_FULL_INK = _BOX * _BOX * _SAMPLES * _SAMPLES
# Images drawn at once. Small keeps them near the processor, and it is part of what the bytes are:
# each chunk makes its draws in turn.
_CHUNK = 250

# Ranges of the random draws, both ends included.
_SEED = 20_240_229
_HEIGHT = (16 * 16, 22 * 16)  # digit height, sixteenths of a pixel
_STRETCH = (52, 76)  # width against height, of 64
_TURN = (-200, 200)  # tangent of half the angle, of 1024: about 22 degrees either way
_SLANT = (-16, 16)  # sideways steps per step down, of 64
_SHIFT = (-28, 28)  # along each axis, sixteenths of a pixel
_INK = (90, 230)  # grey added by full ink
_PAPER = (0, 20)  # grey of the background
_GRAIN = (10, 38)  # noise: standard deviation in grey levels, nearly
_GRAIN_DICE = 4  # random bytes added up for each pixel's noise
_GRAIN_SPREAD = 148  # standard deviation of that sum: sqrt(4 * (256**2 - 1) / 12)
_LINE_INK = (0, 150)
_LINE_WIDTH = (6, 24)  # half width, sixteenths of a pixel
_LINE_PLACE = (-12 * 16, 12 * 16)  # distance from the middle, sixteenths of a pixel

_Ints = NDArray[np.int64]
_Bytes = NDArray[np.uint8]
_Bools = NDArray[np.bool_]


class GlyphsMismatch(RuntimeError):
    """The digits drawn on this machine are not the ones that this version of the set names."""


@dataclass(frozen=True)
class Glyphs:
    """The whole set.

    train_images: uint8 [12000, 28, 28]; train_labels: uint8 [12000], a place in `CLASSES`;
    test_images: uint8 [2000, 28, 28]; test_labels: uint8 [2000].
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def make() -> Glyphs:
    """Draw the set (some seconds on one core); raise GlyphsMismatch if a single byte differs."""
    glyphs = _draw()
    digest = _digest(glyphs)
    if digest != SHA256:
        raise GlyphsMismatch(
            f"The glyphs drawn here hash to {digest}, not to {SHA256} as version {VERSION} must; "
            "matplotlib's bundled fonts or numpy's RandomState differ on this machine."
        )
    return glyphs


def load(cache_dir: Path) -> Glyphs:
    """The set from `cache_dir`/glyphs-v1.npz if that is sound; else drawn, and stored there."""
    path = cache_dir / f"glyphs-v{VERSION}.npz"
    cached = _read(path)
    if cached is not None:
        return cached
    glyphs = make()
    _store(glyphs, path)
    return glyphs


def _arrays(glyphs: Glyphs) -> tuple[NDArray[np.uint8], ...]:
    """The four arrays in the order in which they are hashed."""
    return glyphs.train_images, glyphs.train_labels, glyphs.test_images, glyphs.test_labels


def _digest(glyphs: Glyphs) -> str:
    """sha256 of all the bytes, as hexadecimal digits."""
    sha = hashlib.sha256()
    for array in _arrays(glyphs):
        sha.update(array.tobytes())
    return sha.hexdigest()


def _read(path: Path) -> Glyphs | None:
    """The set in the file, or None if there is no file or it is not exactly this set."""
    try:
        # Opened here: numpy leaves a file of its own open when its zip directory is cut off.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            glyphs = Glyphs(
                stored["train_images"],
                stored["train_labels"],
                stored["test_images"],
                stored["test_labels"],
            )
    except Exception:
        # A cut or flipped byte can surface as almost any error of zipfile, zlib or numpy, and the
        # answer to all of them is the same: draw the set again.
        return None
    return glyphs if _is_sound(glyphs) else None


def _is_sound(glyphs: Glyphs) -> bool:
    """Whether types, shapes and bytes are all those of this version."""
    shapes = ((TRAIN_COUNT, SIDE, SIDE), (TRAIN_COUNT,), (TEST_COUNT, SIDE, SIDE), (TEST_COUNT,))
    for array, shape in zip(_arrays(glyphs), shapes, strict=True):
        if array.dtype != np.uint8 or array.shape != shape:
            return False
    return _digest(glyphs) == SHA256


def _store(glyphs: Glyphs, path: Path) -> None:
    """Write the file whole or not at all; a place that cannot be written is left as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".tmp", dir=path.parent)
    except OSError:
        return
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(  # uncompressed: noise hardly shrinks
                file,
                train_images=glyphs.train_images,
                train_labels=glyphs.train_labels,
                test_images=glyphs.test_images,
                test_labels=glyphs.test_labels,
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        return  # a full disk, say: the set is drawn again next time
    finally:
        temporary.unlink(missing_ok=True)


def _masters() -> _Bytes:
    """Softened bitmaps, 0 to _BOX**2: uint8 [fonts, digits, strokes, master side, master side]."""
    fonts = [[_strokes(_fill(edges)) for edges in _font_edges(name)] for name in FONT_FILES]
    return np.array(fonts, dtype=np.uint8)


def _font_edges(name: str) -> Iterator[_Ints]:
    """For each digit of a bundled font, its outline's edges: int64 [edges, 4], x0 y0 x1 y1."""
    import matplotlib
    from matplotlib import ft2font

    font = ft2font.FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)))
    for digit in CLASSES:
        font.load_char(ord(digit), flags=_unscaled(ft2font))
        vertices, codes = font.get_path()
        units = np.rint(vertices * _UNITS_PER_FONT_UNIT).astype(np.int64)
        yield _to_master(np.concatenate(_contours(units, codes.tolist())))


def _unscaled(ft2font: Any) -> Any:
    """FreeType's flags for an outline in font units; matplotlib 3.10 made them an enumeration."""
    flags = getattr(ft2font, "LoadFlags", None)
    if flags is None:
        return ft2font.LOAD_NO_SCALE | ft2font.LOAD_IGNORE_TRANSFORM
    return flags.NO_SCALE | flags.IGNORE_TRANSFORM


def _contours(vertices: _Ints, codes: list[int]) -> list[_Ints]:
    """Closed contours as edges, int64 [edges, 4] each; curves become _CURVE_PIECES edges."""
    contours: list[_Ints] = []
    points: list[_Ints] = []
    place = 0
    while place < len(codes):
        code = codes[place]
        if code == _MOVE:
            points = [vertices[place : place + 1]]
        elif code == _LINE:
            points.append(vertices[place : place + 1])
        elif code == _QUADRATIC:
            points.append(_curve(points[-1][-1], vertices[place], vertices[place + 1]))
            place += 1  # the control point and the end point come as two vertices
        elif code == _CLOSE:
            loop = np.concatenate(points)
            contours.append(np.concatenate([loop, np.roll(loop, -1, axis=0)], axis=1))
        else:
            raise GlyphsMismatch(f"A bundled font's outline has path code {code}, never seen here.")
        place += 1
    return contours


def _curve(start: _Ints, control: _Ints, end: _Ints) -> _Ints:
    """Points on a quadratic Bezier curve after its start, rounded down: int64 [pieces, 2]."""
    after = np.arange(1, _CURVE_PIECES + 1, dtype=np.int64)[:, None]
    before = _CURVE_PIECES - after
    weighted = before * before * start + 2 * before * after * control + after * after * end
    points: _Ints = weighted // (_CURVE_PIECES * _CURVE_PIECES)
    return points


def _to_master(edges: _Ints) -> _Ints:
    """Edges in font units (y up) to grid steps in the middle of the master bitmap (y down)."""
    points = edges.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    height = high[1] - low[1]
    from_middle = 2 * points - (low + high)  # doubled, so that the middle is a whole number
    steps = from_middle * (_MASTER_HEIGHT * _GRID) // (2 * height)
    middle = _MASTER_SIDE * _GRID // 2
    placed: _Ints = (middle + steps * np.array([1, -1], dtype=np.int64)).reshape(-1, 4)
    return placed


def _fill(edges: _Ints) -> _Bools:
    """Non-zero winding fill, bool [master side, master side]; a point is tested at its centre."""
    sloping = edges[edges[:, 1] != edges[:, 3]]
    x0, y0, x1, y1 = sloping.T[:, :, None]
    centres = np.arange(_MASTER_SIDE, dtype=np.int64) * _GRID + _GRID // 2
    crossed = (np.minimum(y0, y1) <= centres) & (centres < np.maximum(y0, y1))
    crossing = x0 + (centres - y0) * (x1 - x0) // (y1 - y0)
    first_right_of_it = (crossing + _GRID // 2) // _GRID
    edge, row = np.nonzero(crossed)
    turns = np.zeros((_MASTER_SIDE, _MASTER_SIDE), dtype=np.int64)
    direction = np.where(y1 > y0, 1, -1)[edge, 0]
    np.add.at(turns, (row, first_right_of_it[edge, row]), direction)
    winding: _Ints = np.cumsum(turns, axis=1)
    inside: _Bools = winding != 0
    return inside


def _strokes(filled: _Bools) -> _Bytes:
    """The digit at each stroke width, softened: uint8 [strokes, master side, master side]."""
    widths = [_thicken(filled, radius) if radius >= 0 else ~_thicken(~filled, -radius) for radius in _STROKES]
    return np.stack([_soften(width) for width in widths])


def _thicken(filled: _Bools, radius: int) -> _Bools:
    """Dilation by a disc; the border of the master is empty, so rolling round it is harmless."""
    thick = np.zeros_like(filled)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down * down + right * right <= radius * radius:
                thick |= np.roll(filled, (down, right), axis=(0, 1))
    return thick


def _soften(filled: _Bools) -> _Bytes:
    """Ink points in the _BOX x _BOX square round each point: uint8, 0 to _BOX**2."""
    reach = range(-(_BOX // 2), _BOX // 2 + 1)
    ink = filled.astype(np.uint8)
    rows = np.sum([np.roll(ink, down, axis=0) for down in reach], axis=0, dtype=np.uint8)
    soft: _Bytes = np.sum([np.roll(rows, right, axis=1) for right in reach], axis=0, dtype=np.uint8)
    return soft


def _draw() -> Glyphs:
    """The whole set, unchecked."""
    masters = _masters()
    random = np.random.RandomState(_SEED)
    train_labels = _labels(random, TRAIN_COUNT)
    train_images = _images(random, masters, train_labels)
    test_labels = _labels(random, TEST_COUNT)
    test_images = _images(random, masters, test_labels)
    return Glyphs(train_images, train_labels, test_images, test_labels)


def _integers(random: np.random.RandomState, ends: tuple[int, int], count: int) -> _Ints:
    """Random whole numbers between two ends, both included: int64 [count, 1, 1]."""
    low, high = ends
    return random.randint(low, high + 1, size=(count, 1, 1), dtype=np.int64)


def _labels(random: np.random.RandomState, count: int) -> _Bytes:
    """Every class equally often, in random order: uint8 [count]."""
    keys = random.randint(0, 1 << 62, size=count, dtype=np.int64)
    in_turn = np.arange(count) % len(CLASSES)
    # A stable sort by random keys is a shuffle that leans on no library's own shuffling.
    return in_turn[np.argsort(keys, kind="stable")].astype(np.uint8)


def _images(random: np.random.RandomState, masters: _Bytes, labels: _Bytes) -> _Bytes:
    """One image for each label: uint8 [count, 28, 28]."""
    chunks = [labels[start : start + _CHUNK] for start in range(0, len(labels), _CHUNK)]
    return np.concatenate([_chunk(random, masters, chunk) for chunk in chunks])


def _chunk(random: np.random.RandomState, masters: _Bytes, labels: _Bytes) -> _Bytes:
    """Images of a few labels: paper, ink, a stray line and grain added up and cut to 0..255."""
    count = len(labels)
    grey = _integers(random, _PAPER, count)
    grey = grey + _coverage(random, masters, labels) * _integers(random, _INK, count) // _FULL_INK
    grey = grey + _line(random, count) + _grain(random, count)
    return np.clip(grey, 0, 255).astype(np.uint8)


def _coverage(random: np.random.RandomState, masters: _Bytes, labels: _Bytes) -> _Ints:
    """Ink found under each pixel: int64 [count, 28, 28], 0 to _FULL_INK."""
    count = len(labels)
    fonts, digits, strokes = masters.shape[:3]
    font = _integers(random, (0, fonts - 1), count)
    stroke = _integers(random, (0, strokes - 1), count)
    master = (font * digits + labels[:, None, None]) * strokes + stroke
    column, row = _master_places(random, count)
    # The three indices joined into one, so that a single flat look-up serves.
    flat = (((master << _MASTER_BITS) + row) << _MASTER_BITS) + column
    found = masters.reshape(-1).take(flat)
    pixels = found.reshape(count, SIDE, _SAMPLES, SIDE, _SAMPLES)
    ink: _Ints = pixels.sum(axis=(2, 4), dtype=np.int64)
    return ink


def _master_places(random: np.random.RandomState, count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where in its master each sample falls: column and row, int32 [count, 56, 56] each."""
    height = _integers(random, _HEIGHT, count)
    stretch = _integers(random, _STRETCH, count)
    slant = _integers(random, _SLANT, count)
    cosine, sine = _turn(_integers(random, _TURN, count))
    x = _sixteenths(SIDE * _SAMPLES)[None, None, :] - _integers(random, _SHIFT, count)
    y = _sixteenths(SIDE * _SAMPLES)[None, :, None] - _integers(random, _SHIFT, count)

    # Undo the turn, then the slant, then the stretch and the size, as one 2 x 2 fixed-point matrix.
    points = _MASTER_HEIGHT * 16 * _ONE // height  # master points per pixel
    column_by_x = (64 * cosine - slant * sine) * points // (stretch * _ONE)
    column_by_y = (64 * sine + slant * cosine) * points // (stretch * _ONE)
    row_by_x = -sine * points // _ONE
    row_by_y = cosine * points // _ONE
    return _place(column_by_x * x, column_by_y * y), _place(row_by_x * x, row_by_y * y)


def _place(from_x: _Ints, from_y: _Ints) -> NDArray[np.int32]:
    """Sum of two fixed-point offsets from the master's middle, as whole points inside it."""
    middle = (_MASTER_SIDE // 2) * _ONE
    place = (from_x // 16).astype(np.int32) + (from_y // 16 + middle).astype(np.int32)
    # The master's border is empty, so what falls outside finds no ink there either.
    return np.clip(place, 0, _MASTER_SIDE * _ONE - 1) >> _POINT


def _turn(tangent: _Ints) -> tuple[_Ints, _Ints]:
    """Cosine and sine, 16 bits behind the point, of twice the angle with this tangent of 1024.

    (1 - t*t) / (1 + t*t) and 2*t / (1 + t*t) lie on the circle for every rational t.
    """
    whole, part = 1024 * 1024, tangent * tangent
    return (whole - part) * _ONE // (whole + part), 2 * 1024 * tangent * _ONE // (whole + part)


def _sixteenths(samples: int) -> _Ints:
    """Middles of evenly spaced samples across an image, from its middle, in 16ths of a pixel."""
    return (2 * np.arange(samples, dtype=np.int64) + 1 - samples) * (SIDE * 8) // samples


def _line(random: np.random.RandomState, count: int) -> _Ints:
    """Grey of one straight soft-edged line across each image: int64 [count, 28, 28]."""
    cosine, sine = _turn(_integers(random, (-1024, 1023), count))
    place = _integers(random, _LINE_PLACE, count)
    width = _integers(random, _LINE_WIDTH, count)
    ink = _integers(random, _LINE_INK, count)
    x = _sixteenths(SIDE)[None, None, :]
    y = _sixteenths(SIDE)[None, :, None]
    distance = np.abs(((cosine * x + sine * y) >> _POINT) - place)
    grey: _Ints = np.clip(width - distance, 0, 16) * ink // 16
    return grey


def _grain(random: np.random.RandomState, count: int) -> _Ints:
    """Noise of each pixel, by the central limit theorem nearly normal: int64 [count, 28, 28]."""
    deviation = _integers(random, _GRAIN, count)
    dice = random.randint(0, 256, size=(_GRAIN_DICE, count, SIDE, SIDE), dtype=np.uint8)
    centred = dice.sum(axis=0, dtype=np.int64) - _GRAIN_DICE * 255 // 2
    noise: _Ints = centred * deviation // _GRAIN_SPREAD
    return noise
