"""Makes tests/golden/decode: small images and, as NAME.ppm, what torchvision's default loader sees in them. Run: python decode.py

Made with Pillow 13.0.0. For `png-grey16.png` and `pnm-grey16.pgm` alone the expected pixels are not PIL's, which clips such images at
255, but the high bytes (see the documentation of `decode`).
"""

import io
import pathlib
import struct
import zlib

import numpy
from PIL import Image

OUT = pathlib.Path(__file__).parent / "decode"
WIDTH, HEIGHT = 23, 17


def picture(width=WIDTH, height=HEIGHT):
    """Slopes, a disc and a bar, so that every channel and every block has something else in it."""
    y, x = numpy.mgrid[0:height, 0:width] / max(width, height)
    red = 255 * x
    green = 128 + 100 * numpy.sin(9 * y + 3 * x)
    blue = numpy.where((x - 0.5) ** 2 + (y - 0.3) ** 2 < 0.05, 230, 40 + 90 * y)
    bar = (x > 0.7) & (y > 0.45)
    rgb = numpy.stack([numpy.where(bar, 20, red), numpy.where(bar, 240, green), numpy.where(bar, 128, blue)], axis=2)
    return rgb.round().astype(numpy.uint8)


RGB = picture()
IMAGE = Image.fromarray(RGB)
ALPHA = numpy.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).round().astype(numpy.uint8)
RGBA = Image.fromarray(numpy.dstack([RGB, ALPHA]))
PALETTE = IMAGE.quantize(13)


def encode(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def keep(name, data, expected=None):
    """Writes an image, and its pixels after `convert("RGB")`."""
    (OUT / name).write_bytes(data)
    if expected is None:
        expected = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    height, width, _ = expected.shape
    (OUT / f"{name}.ppm").write_bytes(b"P6\n%d %d\n255\n" % (width, height) + expected.tobytes())
    assert len(data) < 3000, (name, len(data))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples, colour, bits, interlaced=False):
    """A PNG of the kinds that PIL does not write: 16 bits a sample, or interlaced. `samples`: [height, width, channels]."""
    height, width, _ = samples.shape
    kind = ">u2" if bits == 16 else "u1"
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes if interlaced else [(0, 0, 1, 1)]:
        for row in samples[top::down, left::right]:
            if row.size:
                rows += b"\0" + row.astype(kind).tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def segment(data, marker):
    """Where the segment with this marker begins and ends."""
    start = data.index(b"\xff" + bytes([marker]))
    return start, start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]


def jpegs():
    keep("jpeg-444.jpg", encode(IMAGE, "JPEG", quality=90, subsampling="4:4:4"))
    keep("jpeg-422.jpg", encode(IMAGE, "JPEG", quality=90, subsampling="4:2:2"))
    plain = encode(IMAGE, "JPEG", quality=85, subsampling="4:2:0")
    keep("jpeg-420.jpg", plain)
    keep("jpeg-progressive.jpg", encode(IMAGE, "JPEG", quality=85, progressive=True, subsampling="4:2:0"))
    keep("jpeg-grey.jpg", encode(IMAGE.convert("L"), "JPEG", quality=85))
    keep("jpeg-grey-progressive.jpg", encode(IMAGE.convert("L"), "JPEG", quality=85, progressive=True))
    keep("jpeg-restart.jpg", encode(IMAGE, "JPEG", quality=85, restart_marker_blocks=2))
    keep("jpeg-rgb.jpg", encode(IMAGE, "JPEG", quality=90, keep_rgb=True))
    keep("jpeg-large.jpg", encode(Image.fromarray(picture(97, 71)), "JPEG", quality=75, subsampling="4:2:0"))

    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned by 90 degrees, which this loader does not do.
    keep("jpeg-exif.jpg", encode(IMAGE, "JPEG", quality=85, exif=exif))

    cmyk = encode(Image.fromarray(numpy.dstack([255 - RGB, ALPHA // 2]), "CMYK"), "JPEG", quality=90)
    keep("jpeg-cmyk.jpg", cmyk)
    start, end = segment(cmyk, 0xEE)
    keep("jpeg-ycck.jpg", cmyk[: end - 1] + b"\x02" + cmyk[end:])
    keep("jpeg-cmyk-not-adobe.jpg", cmyk[:start] + cmyk[end:])

    start, _ = segment(plain, 0xDA)
    keep("jpeg-stray.jpg", plain[:start] + b"\x10" * 9 + plain[start:])


def pngs():
    keep("png-rgb.png", encode(IMAGE, "PNG", optimize=True))
    keep("png-rgba.png", encode(RGBA, "PNG", optimize=True))
    keep("png-grey.png", encode(IMAGE.convert("L"), "PNG"))
    keep("png-grey-alpha.png", encode(RGBA.convert("LA"), "PNG"))
    keep("png-palette.png", encode(PALETTE, "PNG"))
    keep("png-palette-transparent.png", encode(PALETTE, "PNG", transparency=b"\x00\x80\xff"))
    keep("png-palette-1bit.png", encode(IMAGE.quantize(2), "PNG", bits=1))
    keep("png-1bit.png", encode(IMAGE.convert("1"), "PNG"))
    keep("png-interlaced.png", png(RGB, 2, 8, interlaced=True))
    deep = RGB.astype(numpy.uint16) * 256 + RGB[::-1, ::-1]
    keep("png-rgb16.png", png(deep[:, :15], 2, 16))
    keep("png-rgba16.png", png(numpy.dstack([deep, ALPHA.astype(numpy.uint16) * 257])[:, :11], 6, 16))
    keep("png-grey-alpha16.png", png(deep[:, :, :2], 4, 16))
    keep("png-grey16.png", png(deep[:, :, 1:2], 0, 16), RGB[:, :, 1:2].repeat(3, axis=2))


def others():
    keep("webp-lossless.webp", encode(IMAGE, "WEBP", lossless=True))
    keep("webp-lossless-alpha.webp", encode(RGBA, "WEBP", lossless=True, exact=True))
    keep("webp-lossy.webp", encode(IMAGE, "WEBP", quality=85))
    keep("webp-lossy-alpha.webp", encode(RGBA, "WEBP", quality=85, exact=True))
    turned = IMAGE.rotate(180)
    keep("webp-animated.webp", encode(IMAGE, "WEBP", lossless=True, save_all=True, append_images=[turned]))
    keep("bmp-24.bmp", encode(IMAGE, "BMP"))
    keep("bmp-32.bmp", encode(RGBA, "BMP"))
    keep("bmp-palette.bmp", encode(PALETTE, "BMP"))
    keep("bmp-1bit.bmp", encode(IMAGE.convert("1"), "BMP"))
    keep("pnm-rgb.ppm", encode(IMAGE, "PPM"))
    keep("pnm-grey.pgm", encode(IMAGE.convert("L"), "PPM"))
    keep("pnm-1bit.pbm", encode(IMAGE.convert("1"), "PPM"))
    samples = " ".join(str(value) for value in (RGB[:5, :7] % 101).ravel())
    keep("pnm-plain-maxval-100.ppm", b"P3\n# seven by five\n7 5\n100\n" + samples.encode())
    deep = RGB[:, :, 0].astype(">u2") * 256 + 77
    keep("pnm-grey16.pgm", b"P5\n23 17\n65535\n" + deep.astype(">u2").tobytes(), RGB[:, :, :1].repeat(3, axis=2))
    keep("tiff-rgb.tif", encode(IMAGE, "TIFF"))
    keep("tiff-lzw.tif", encode(IMAGE, "TIFF", compression="tiff_lzw"))
    keep("tiff-deflate.tif", encode(RGBA, "TIFF", compression="tiff_adobe_deflate"))
    keep("tiff-grey.tif", encode(IMAGE.convert("L"), "TIFF", compression="packbits"))
    keep("tiff-1bit.tif", encode(IMAGE.convert("1"), "TIFF"))


OUT.mkdir(exist_ok=True)
jpegs()
pngs()
others()
