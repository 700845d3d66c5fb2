"""Prints as JSON what TensorBoard's own readers find in a run's folder. Run: python read.py FOLDER, with tensorboard 2.21.0."""

import json
import pathlib
import sys

from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

folder = pathlib.Path(sys.argv[1])
events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
events.Reload()
tags = events.Tags()
config = folder / "projector_config.pbtxt"
embeddings = text_format.Parse(config.read_text() if config.exists() else "", ProjectorConfig()).embeddings
json.dump(
    {
        "scalars": {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {tag: [[event.step, event.width, event.height] for event in events.Images(tag)] for tag in tags["images"]},
        "embeddings": [
            {"tensors": it.tensor_path, "metadata": it.metadata_path, "sprite": it.sprite.image_path, "side": list(it.sprite.single_image_dim)}
            for it in embeddings
        ],
    },
    sys.stdout,
)
