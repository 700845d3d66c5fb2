"""Makes the fixtures in transforms/ anew: `python transforms.py` with torchvision 0.26.0, Pillow 13.0 and numpy.

Each case is an op as panal writes it, the parameters of one draw, and what torchvision's functional form (PIL backend)
makes of source.png with them. Sobel's filter, which torchvision has not, is a convolution by torch in double precision.
"""

import hashlib
import json
import pathlib

import numpy as np
import torch
import torchvision.transforms.functional as F
import torchvision.transforms.v2.functional as F2
from PIL import Image, ImageDraw
from torchvision.transforms import InterpolationMode as Mode, RandomErasing, RandomResizedCrop

HERE = pathlib.Path(__file__).parent / "transforms"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
MODES = {"nearest": Mode.NEAREST, "bilinear": Mode.BILINEAR, "bicubic": Mode.BICUBIC}


def source(width, height):
    """Gradients, shapes with hard edges, and a patch of noise."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) * 3 % 256], -1).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    draw.rectangle([width // 8, height // 6, width // 3, height // 2], fill=(250, 20, 10))
    draw.ellipse([width // 2, height // 8, width - 4, height // 2], fill=(10, 90, 240), outline=(255, 255, 255))
    draw.line([0, height - 1, width - 1, height // 3], fill=(0, 0, 0), width=2)
    pixels = np.array(image)
    noise = np.random.default_rng(0).integers(0, 256, (height // 3, width // 3, 3), dtype=np.uint8)
    pixels[-noise.shape[0] - 2 : -2, 3 : 3 + noise.shape[1]] = noise
    return Image.fromarray(pixels)


def pil_fill(fill):
    return fill if isinstance(fill, list) else [fill] * 3


def apply(image, case):
    """What torchvision makes of the case."""
    op, params = case["op"], case["params"]
    mode = MODES[op.get("interpolation", "bilinear" if "resize" in op["op"] else "nearest")]
    match op["op"]:
        case "resize":
            return F.resize(image, op["size"], mode)
        case "center_crop":
            return F.center_crop(image, op["size"])
        case "random_resized_crop":
            size = op["size"] if isinstance(op["size"], list) else [op["size"]] * 2
            return F.resized_crop(image, *params, size, mode)
        case "pad":
            return F.pad(image, op["padding"], op.get("fill", 0), op.get("mode", "constant"))
        case "horizontal_flip":
            return F.hflip(image)
        case "vertical_flip":
            return F.vflip(image)
        case "random_rotation":
            return F.rotate(image, params, mode, op.get("expand", False), op.get("center"), pil_fill(op.get("fill", 0)))
        case "random_affine":
            degrees, translate, scale, shear = params
            fill, center = pil_fill(op.get("fill", 0)), op.get("center")
            return F.affine(image, degrees, translate, scale, shear, mode, fill, center)
        case "color_jitter":
            return adjust(image, params)
        case "random_grayscale":
            return F.to_grayscale(image, 3)
        case "gaussian_blur":
            return F.gaussian_blur(image, op["kernel_size"], params)
        case "random_rotate90":
            return F.rotate(image, 90 * params, expand=True)
        case "cutout":
            fill = torch.tensor(pil_fill(op.get("fill", [124, 116, 104])), dtype=torch.uint8)[:, None, None]
            return F.to_pil_image(F.erase(F.pil_to_tensor(image), *params, fill))
        case "sobel":
            return sobel(image)
        case "gaussian_noise":
            return noisy(image, params)


def sobel(image):
    """The magnitude of the luminance's gradient over 4, rounded to the nearest, with the outermost pixels repeated."""
    grey = torch.from_numpy(np.pad(np.array(image.convert("L"), dtype=np.float64), 1, mode="edge"))[None, None]
    across = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])).double()
    gx, gy = (torch.nn.functional.conv2d(grey, kernel[None, None])[0, 0] for kernel in (across, across.T))
    magnitude = torch.floor(torch.hypot(gx, gy) / 4 + 0.5).clamp(0, 255).numpy().astype(np.uint8)
    return Image.fromarray(np.stack([magnitude] * 3, -1))


def noisy(image, sigma):
    """torchvision's noise, but of values that can be made again elsewhere in place of random ones."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).double() / 255
    height, width = pixels.shape[1:]
    values = (torch.arange(height * width * 3) * 37 % 101 - 50).double() / 16
    randn_like, torch.randn_like = torch.randn_like, lambda like: values.reshape(height, width, 3).permute(2, 0, 1)
    try:
        result = F2.gaussian_noise(pixels, 0.0, sigma)
    finally:
        torch.randn_like = randn_like
    return Image.fromarray((result * 255).round().permute(1, 2, 0).numpy().astype(np.uint8))


def adjust(image, adjustments):
    for name, amount in adjustments:
        image = getattr(F, "adjust_" + name)(image, amount)
    return image


def op(name, params=None, **fields):
    return {"op": {"op": name, **fields}, "params": params}


CASES = [
    op("resize", size=20),
    op("resize", size=73),
    op("resize", size=[33, 19]),
    op("resize", size=[47, 90]),
    op("resize", size=[31, 40], interpolation="nearest"),
    op("resize", size=[70, 97], interpolation="nearest"),
    op("resize", size=[18, 25], interpolation="bicubic"),
    op("resize", size=[60, 83], interpolation="bicubic"),
    op("resize", size=[21, 70], interpolation="bicubic"),
    op("center_crop", size=30),
    op("center_crop", size=[44, 32]),
    op("center_crop", size=[20, 68]),
    op("center_crop", size=[52, 66]),
    op("random_resized_crop", [5, 9, 31, 44], size=24),
    op("random_resized_crop", [29, 6, 13, 11], size=[32, 21]),
    op("random_resized_crop", [2, 3, 40, 50], size=[17, 26], interpolation="nearest"),
    op("random_resized_crop", [2, 3, 40, 50], size=[17, 26], interpolation="bicubic"),
    op("pad", padding=3, fill=[9, 80, 200]),
    op("pad", padding=[5, 2], mode="edge"),
    op("pad", padding=[1, 7, 4, 0], mode="reflect"),
    op("pad", padding=[6, 0, 2, 3], mode="symmetric"),
    op("horizontal_flip"),
    op("vertical_flip"),
    op("random_rotation", 30.0, degrees=45),
    op("random_rotation", -77.5, degrees=90, fill=[200, 10, 60]),
    op("random_rotation", 90.0, degrees=90),
    op("random_rotation", 180.0, degrees=180),
    op("random_rotation", -90.0, degrees=90, expand=True),
    op("random_rotation", 33.3, degrees=45, expand=True, interpolation="bilinear"),
    op("random_rotation", -14.2, degrees=45, interpolation="bilinear", fill=128, center=[11, 30.5]),
    op("random_rotation", 100.7, degrees=[90, 120], interpolation="bicubic"),
    op("random_affine", [0.0, [4, -7], 1.0, [0.0, 0.0]], degrees=0),
    op("random_affine", [0.0, [0, 0], 0.73, [0.0, 0.0]], degrees=0, fill=[1, 2, 3]),
    op("random_affine", [25.0, [3, 5], 1.3, [10.0, 0.0]], degrees=30),
    op("random_affine", [-40.5, [-6, 2], 0.8, [-12.0, 7.5]], degrees=60, interpolation="bilinear", fill=77),
    op("random_affine", [15.0, [0, 1], 1.1, [3.0, -9.0]], degrees=30, interpolation="bicubic", center=[20, 10]),
    op("color_jitter", [["brightness", 0.45]]),
    op("color_jitter", [["brightness", 1.7]]),
    op("color_jitter", [["contrast", 0.31]]),
    op("color_jitter", [["contrast", 1.9]]),
    op("color_jitter", [["saturation", 0.2]]),
    op("color_jitter", [["saturation", 1.83]]),
    op("color_jitter", [["hue", 0.13]]),
    op("color_jitter", [["hue", -0.41]]),
    op("color_jitter", [["hue", 0.05], ["contrast", 1.2], ["saturation", 0.7], ["brightness", 1.1]]),
    op("random_grayscale"),
    op("gaussian_blur", 0.8, kernel_size=5),
    op("gaussian_blur", 2.0, kernel_size=[3, 9]),
    op("gaussian_blur", 1.4, kernel_size=23),
    op("random_rotate90", 1),
    op("random_rotate90", 2),
    op("random_rotate90", 3),
    op("cutout", [0, 20, 17, 24]),
    op("cutout", [30, 41, 17, 20], fill=[200, 3, 90]),
    op("sobel"),
    op("gaussian_noise", 0.07),
    op("gaussian_noise", 0.37),
]

# Every combination of 52 levels in three channels, through the arithmetic that works on one colour at a time.
COLOURS = [
    [["hue", 0.1]],
    [["hue", -0.5]],
    [["hue", 0.337]],
    [["saturation", 0.37]],
    [["saturation", 1.6]],
]


def colours():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    red, green, blue = np.meshgrid(levels, levels, levels, indexing="ij")
    return Image.fromarray(np.stack([red, green, blue], -1).reshape(52 * 52, 52, 3))


def sha256(image):
    return hashlib.sha256(np.array(image).tobytes()).hexdigest()


def targets():
    """The sizes that torchvision gives images of several sizes, for a shorter side of 256, 224 and 7."""
    sizes = [(375, 500), (500, 375), (256, 341), (333, 500), (768, 1023), (1, 3), (5, 5), (211, 97), (17, 1000)]
    resized = F._compute_resized_output_size
    return [[height, width, side, *resized((height, width), [side])] for height, width in sizes for side in (256, 224, 7)]


def central_crops():
    """RandomResizedCrop.get_params where no try fits: height, width, then top, left, height and width of the crop."""
    ratio = [3 / 4, 4 / 3]
    sizes = [(10, 1000), (1000, 10), (37, 501), (333, 57), (3, 11), (11, 3)]
    crop = RandomResizedCrop.get_params
    return [[height, width, *crop(Image.new("L", (width, height)), [1.0, 1.0], ratio)] for height, width in sizes]


def moments(rows):
    """Mean and standard deviation of each column."""
    rows = np.array(rows, dtype=np.float64)
    return [rows.mean(0).round(5).tolist(), rows.std(0).round(5).tolist()]


def draws(count=20_000):
    """Moments of torchvision's draws. Crops: part of the area, log of width / height, top, left."""
    torch.manual_seed(0)
    result = []
    for height, width in [(375, 500), (300, 97), (40, 90)]:
        image, rows = Image.new("L", (width, height)), []
        for _ in range(count):
            i, j, h, w = RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
            rows.append([h * w / height / width, np.log(w / h), i, j])
        result.append({"what": "random_resized_crop", "height": height, "width": width, "moments": moments(rows)})
    for height, width in [(64, 64), (20, 50)]:
        tensor, rows = torch.zeros(3, height, width), []
        for _ in range(count):
            i, j, h, w, _ = RandomErasing.get_params(tensor, [0.02, 0.33], [0.3, 3.3], [0.0])
            if (h, w) != (height, width):
                rows.append([h * w / height / width, np.log(w / h), i, j])
        result.append({"what": "random_erasing", "height": height, "width": width, "moments": moments(rows)})
    return result


def floats(tensor):
    """NHWC floats, little-endian."""
    return tensor.permute(1, 2, 0).contiguous().numpy().astype("<f4").tobytes()


def main():
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    image = source(61, 47)
    image.save(HERE / "source.png", optimize=True)
    for index, case in enumerate(CASES):
        case["file"] = f"{index:02}-{case['op']['op']}.png"
        apply(image, case).save(HERE / case["file"], optimize=True)
    small = F.normalize(F.to_tensor(F.resize(image, [9, 13])), MEAN, STD)
    F.resize(image, [9, 13]).save(HERE / "small.png", optimize=True)
    (HERE / "small-normalized.f32").write_bytes(floats(small))
    (HERE / "small-erased.f32").write_bytes(floats(F.erase(small, 2, 3, 4, 7, torch.tensor([0.5, -1.0, 2.0])[:, None, None])))
    plain = F.normalize(F.to_tensor(F.center_crop(F.resize(image, 32), 28)), MEAN, STD)
    (HERE / "plain-32-28.f32").write_bytes(floats(plain))
    record = {
        "cases": CASES,
        "colours": [{"adjustments": a, "sha256": sha256(adjust(colours(), a))} for a in COLOURS],
        "grey_colours": sha256(F.to_grayscale(colours(), 3)),
        "resize_targets": targets(),
        "central_crops": central_crops(),
        "draws": draws(),
    }
    lines = [f"  {json.dumps(key)}: [\n    " + ",\n    ".join(json.dumps(row) for row in value) + "\n  ]"
             if isinstance(value, list) else f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()]
    (HERE / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
