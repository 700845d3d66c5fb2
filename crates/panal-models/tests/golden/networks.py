"""Write networks.json, and cifar.json for networks with the stem for small images: run `python networks.py` with torch 2.11.0, torchvision 0.26.0 and numpy.

Weights and images are not stored: both sides draw them from the names, with `uniforms` below. What is stored is
computed in float64, so that the test measures the distance to the truth and not to one processor's rounding.
"""

import json
import pathlib

import numpy as np
import torch
import torchvision
from torchvision.models.resnet import BasicBlock

torch.set_num_threads(1)
CLASSES = 5
IMAGES = (3, 3, 64, 96)
CIFAR_IMAGES = (3, 3, 32, 48)
ARCHS = [
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d"),
    "mobilenet_v2",
    *(f"efficientnet_b{i}" for i in range(8)),
    "resnet10_w24",
]
CIFAR_ARCHS = ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "resnet10_w24"]


class Narrow(torchvision.models.ResNet):
    """torchvision's ResNet with one basic block a stage, its channels made for a width of 24 in place of 64."""

    def __init__(self, num_classes):
        super().__init__(BasicBlock, [1, 1, 1, 1], num_classes)
        self.inplanes = 24
        self.conv1 = torch.nn.Conv2d(3, 24, 7, stride=2, padding=3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(24)
        for stage, stride in zip(range(4), (1, 2, 2, 2)):
            setattr(self, f"layer{stage + 1}", self._make_layer(BasicBlock, 24 * 2**stage, 1, stride))
        self.fc = torch.nn.Linear(24 * 8, num_classes)


def network(arch, classes, **options):
    if arch == "resnet10_w24":
        return Narrow(classes)
    return torchvision.models.get_model(arch, num_classes=classes, **options)


def for_small_images(net):
    """The first convolution of stride 1, in ResNets 3 x 3 too, and no max-pool."""
    if isinstance(net, torchvision.models.ResNet):
        net.conv1 = torch.nn.Conv2d(3, net.conv1.out_channels, 3, padding=1, bias=False)
        net.maxpool = torch.nn.Identity()
    else:
        net.features[0][0].stride = (1, 1)
    return net


def published(arch):
    """Number of learnt values with 1000 classes, and the preprocessing; the narrow ResNet's is panal's own choice."""
    if arch == "resnet10_w24":
        values = sum(tensor.numel() for tensor in Narrow(1000).parameters())
        return {"num_params": values, "resize": 144, "crop": 128, "interpolation": "bilinear"}
    weights = torchvision.models.get_model_weights(arch).IMAGENET1K_V1
    preset = weights.transforms()
    return {
        "num_params": weights.meta["num_params"],
        "resize": preset.resize_size[0],
        "crop": preset.crop_size[0],
        "interpolation": preset.interpolation.value,
    }


def fnv1a(text):
    key = 0xCBF29CE484222325
    for byte in text.encode():
        key = ((key ^ byte) * 0x100000001B3) % 2**64
    return key


def uniforms(name, shape):
    """Values in [-1, 1): the stream of splitmix64 that starts at the name's FNV-1a hash."""
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).reshape(shape)


def gamma(arch, name):
    """About which value a batch norm's weights lie. A deep network of random blocks is chaotic, in training mode above
    all: float32 rounding grows a thousandfold. ResNet's branches damped, it is not, and the test can be sharp."""
    if "resne" not in arch:
        return 0.8
    last = ".bn2.weight" if arch in ("resnet18", "resnet34", "resnet10_w24") else ".bn3.weight"
    return 0.2 if name.endswith(last) else 1.0


def weight(arch, name, shape):
    u = uniforms(name, shape)
    if len(shape) > 1:  # activations neither vanish nor explode
        u = u * np.sqrt((6.0 if len(shape) == 4 else 3.0) / np.prod(shape[1:], dtype=np.float64))
    elif name.endswith("bias"):
        u = 0.1 * u
    else:
        u = gamma(arch, name) * (1.0 + 0.2 * u)
    return torch.from_numpy(u.astype(np.float32))


def set_statistics(name, norm, square):
    """Running statistics of a layer whose input has this mean square, so that evaluation too keeps everything O(1)."""
    mean = 0.1 * np.sqrt(square) * uniforms(name + ".running_mean", (norm.num_features,))
    var = square * (1.0 + 0.5 * uniforms(name + ".running_var", (norm.num_features,)))
    norm.running_mean.copy_(torch.from_numpy(mean.astype(np.float32)))
    norm.running_var.copy_(torch.from_numpy(var.astype(np.float32)))


def numbers(values):
    return [float(f"{value:.7g}") for value in values]


def prepared(arch, cifar=False, squares=None):
    """The network with its weights and running statistics, and images; `squares` takes the mean square of each norm's input."""
    squares = {} if squares is None else squares
    options = {"dropout": 0.0} if "resne" not in arch else {}
    if arch.startswith("efficientnet"):
        options["stochastic_depth_prob"] = 0.0
    net = network(arch, CLASSES, **options).double()
    if cifar:
        net = for_small_images(net)
        net.double()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(weight(arch, name, tuple(tensor.shape)))
    images = torch.from_numpy((np.sqrt(3.0) * uniforms("images", CIFAR_IMAGES if cifar else IMAGES)).astype(np.float32)).double()

    def calibrate(name):
        def hook(norm, inputs):
            squares[name] = float(f"{inputs[0].pow(2).mean():.2g}")
            set_statistics(name, norm, squares[name])

        return hook

    norms = {name: module for name, module in net.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    hooks = [norm.register_forward_pre_hook(calibrate(name)) for name, norm in norms.items()]
    with torch.no_grad():
        net.eval()(images)
    for hook in hooks:
        hook.remove()
    return net, images


def record(arch, cifar=False):
    squares = {}
    net, images = prepared(arch, cifar, squares)
    norms = {name: module for name, module in net.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    names = [f"{name} {list(tensor.shape)}" for name, tensor in net.state_dict().items()]
    with torch.no_grad():
        evaluated = net(images)
        trained = net.train()(images)
    (head, *_) = [module for module in net.modules() if isinstance(module, torch.nn.Linear)]

    def probe(name, tensor):
        return float(np.dot(uniforms(f"probe {name}", tuple(tensor.shape)), tensor.numpy()))

    return {
        "arch": arch,
        "feature_dim": head.in_features,
        **({} if cifar else published(arch)),
        # FNV-1a over `name [shape]` of the whole state dict, in order, each line ended by a line feed.
        "names": str(fnv1a("".join(line + "\n" for line in names))),
        "eval": numbers(evaluated.flatten().tolist()),
        "train": numbers(trained.flatten().tolist()),
        # By norm, in order: mean square of its input in evaluation; then, after one step in training, the running mean and
        # variance as dot products with `probe`.
        "norms": [
            [name, squares[name]]
            + numbers([probe(name, norm.running_mean), probe(name, norm.running_var)])
            for name, norm in norms.items()
        ],
        # The first norm's running mean and variance after that step, in full.
        "first_norm": numbers(torch.cat([next(iter(norms.values())).running_mean, next(iter(norms.values())).running_var]).tolist()),
    }


if __name__ == "__main__":
    for file, archs in [("networks.json", ARCHS), ("cifar.json", CIFAR_ARCHS)]:
        records = []
        for arch in archs:
            records.append(json.dumps(record(arch, file == "cifar.json"), separators=(",", ":")))
            print(file, arch, flush=True)
        pathlib.Path(__file__).with_name(file).write_text("[\n" + ",\n".join(records) + "\n]\n")
