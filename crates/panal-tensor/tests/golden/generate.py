"""Writes every fixture of this folder: `python generate.py`, with torch 2.11.0 and safetensors 0.8 (or any near it)."""

import json
import os
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
torch.set_num_threads(1)
torch.manual_seed(20)


def state_dict():
    base = torch.randn(5, 3)
    shared = torch.arange(10, dtype=torch.float32)
    weights = OrderedDict(
        f32=torch.randn(2, 3, 4),
        f64=torch.randn(3, dtype=torch.float64),
        f16=torch.randn(5).half(),
        bf16=torch.randn(3, 2).bfloat16(),
        i64=torch.tensor([-(2**62), 7]),
        i32=torch.tensor([[-5], [2**31 - 1]], dtype=torch.int32),
        i16=torch.tensor([-300, 300], dtype=torch.int16),
        i8=torch.tensor([-128, 127], dtype=torch.int8),
        u8=torch.tensor([0, 255, 3], dtype=torch.uint8),
        bool=torch.tensor([True, False, True, True]),
        transposed=base.t(),  # [3, 5], strides [1, 3]
        rows_from_the_middle=base[1:4:2],  # the same storage, offset 3, strides [6, 1]
        first_of_two=shared[:4],
        second_of_two=shared[3:9].view(2, 3),
        channels_last=torch.randn(4, 3, 2, 5).contiguous(memory_format=torch.channels_last),
        empty=torch.zeros(0, 3),
        num_batches_tracked=torch.tensor(41),
        parameter=torch.nn.Parameter(torch.randn(2, 2)),
        special=torch.tensor([0.0, -0.0, 1e-45, float("inf"), float("nan")]),
    )
    weights._metadata = OrderedDict([("", {"version": 1})])  # as Module.state_dict() adds it
    return weights


def raw(tensor):
    flat = tensor.detach().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes().hex() if flat.numel() else ""


class Attack:
    def __reduce__(self):
        return os.system, ("touch THIS-MUST-NEVER-APPEAR",)


def save(value, name, **options):
    torch.save(value, HERE / f"{name}.pth", **options)
    torch.save(value, HERE / f"{name}-legacy.pth", _use_new_zipfile_serialization=False, **options)


weights = state_dict()
save(weights, "weights")
save({"epoch": 3, "loss": 0.25, "state_dict": weights}, "nested")
save({"weight": torch.zeros(2), "attack": Attack()}, "malicious")
save([torch.zeros(2)], "list")
save({"weight": torch.zeros(2), "epoch": 3}, "mixed")
save({"weight": torch.ones(1).expand(1000)}, "expanded")
torch.save(torch.nn.Linear(2, 3), HERE / "module.pth")
torch.save(weights, HERE / "protocol4.pth", pickle_protocol=4)

contiguous = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
save_file(contiguous, HERE / "weights.safetensors", metadata={"origin": "generate.py", "epoch": "3"})

expected = {
    name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "bytes": raw(tensor)}
    for name, tensor in weights.items()
}
(HERE / "weights.json").write_text(json.dumps(expected, indent=1) + "\n")
