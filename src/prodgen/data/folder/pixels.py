"""One image file of any kind -> one small square of bytes: upright, in sRGB, transparency on white."""

from contextlib import suppress
from importlib import import_module
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms

CROPS = ("letterbox", "centre")
DECODER = 3  # to be raised whenever decode() comes to give other pixels: it makes older caches unused
GAP = 3  # an image is brought to this many times its final size quickly, from there by the best filter
TURNS = {  # EXIF orientation -> what turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BITS, PHOTOMETRIC, MOST, S_MOST = 258, 262, 281, 341  # TIFF tags
DARK = 2**14  # a 16-bit image all below this may hold 14, 12 or 10 bits a pixel

Image.init()
with suppress(ImportError):  # photos of telephones, for those who have installed the reader
    import_module("pillow_heif").register_heif_opener()
# A file that Pillow would hand to another program, such as PostScript, is not opened whatever its name.
FORMATS = [name for name in "JPEG PNG WEBP BMP GIF TIFF AVIF JPEG2000 PPM HEIF".split() if name in Image.OPEN]


def decode(path: Path | BytesIO, image_size: int, channels: int, crop: str) -> tuple[np.ndarray, str, tuple]:
    """One image file -> uint8 (channels, image_size, image_size), and what is odd about it ("": nothing).

    Behind these, height and width of the image's own part of the square, which lies in its middle: crop
    "letterbox" shows the whole image with white bars, "centre" fills the square with the image's middle.
    Raises what Pillow raises on a bad file, and ValueError for pixels whose white is unknown.
    """
    mode = "L" if channels == 1 else "RGB"
    longest = max if crop == "letterbox" else min
    with Image.open(path, formats=FORMATS) as image:
        scale = GAP * image_size / longest(image.size)  # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size
        image.draft(None, tuple(ceil(scale * side) for side in image.size))
        raw = str(image.tile[0][3]) if image.tile else ""
        image.load()  # before the metadata are read: it turns a TIFF upright, and then takes the tag away
        turn, profile = TURNS.get(_orientation(image)), image.info.get("icc_profile")
        flat, remark = _flat(image, sixteen_bits="16" in raw)
    width, height = flat.size
    if crop == "letterbox":
        scale = image_size / max(width, height)
        size = max(1, round(scale * width)), max(1, round(scale * height))
        inner = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=GAP)
        own = _finished(inner, profile, mode)
    else:
        left, top = max(0, width - height) / 2, max(0, height - width) / 2
        box = (left, top, width - left, height - top)
        own = flat.resize((image_size, image_size), Image.Resampling.LANCZOS, box, reducing_gap=GAP)
        own = _finished(own, profile, mode)
    own = own if turn is None else own.transpose(turn)
    square = Image.new(mode, (image_size, image_size), "white")
    square.paste(own, ((image_size - own.width) // 2, (image_size - own.height) // 2))
    pixels = np.atleast_3d(np.asarray(square)).transpose(2, 0, 1)
    return pixels, remark, (own.height, own.width)


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata round a sound picture
        return None


def _flat(image: Image.Image, sixteen_bits: bool) -> tuple[Image.Image, str]:
    """Any Pillow mode -> "L", "LA", "RGB", "RGBA" or "CMYK", and what is odd about the pixels."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known white")
    if image.mode.startswith("I"):
        return _eight_bits(image)
    clear = image.info.get("transparency")
    if sixteen_bits and isinstance(clear, tuple):  # Pillow has kept the upper 8 bits of each pixel alone
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    grey, alpha = image.mode in ("1", "L", "LA"), "A" * image.has_transparency_data
    return image.convert("CMYK" if image.mode == "CMYK" else ("L" if grey else "RGB") + alpha), ""


def _finished(image: Image.Image, profile: bytes | None, mode: str) -> Image.Image:
    """What `_flat` gives -> `mode`, in the colours that the embedded profile means, and on white.

    A profile that is broken, or meant for other pixels than these, is passed over.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.removesuffix("A"))
    if profile:
        with suppress(Exception):  # littleCMS's own and, from a cut-off profile, OSError
            given, wanted = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            colours = ImageCms.profileToProfile(colours, given, wanted, outputMode="RGB")
    white = Image.new(mode, image.size, "white")
    white.paste(colours.convert(mode), mask=alpha)
    return white


def _eight_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """Grey of up to 16 bits, white where it is declared transparent -> "L", and whether it is too dark."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels have no known white")
    tags, most = getattr(image, "tag_v2", {}), int(values.max())
    # The depth that a TIFF states. A greatest value may be that of this picture, so it is rounded up to bits.
    stated = [int(np.max(tags[tag])).bit_length() for tag in (S_MOST, MOST) if tag in tags]
    stated += [int(np.max(tags.get(BITS, 16)))]
    white = min((2**bits - 1 for bits in stated if most < 2**bits <= 65536), default=65535)
    remark = ""
    if white == 65535 and 0 < most < DARK and len(stated) == 1:
        remark = f"no pixel above {most:,} of 65,535: if it has fewer bits than 16, stretch it"
    shades = white - values if tags.get(PHOTOMETRIC) == 0 else values
    shades = (255 * shades + white // 2) // white
    shades[values == image.info.get("transparency")] = 255
    return Image.fromarray(shades.astype(np.uint8)), remark
