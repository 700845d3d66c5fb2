"""Makes events.tfevents beside it by TensorBoard's own messages and record writer. Run: python events.py, with tensorboard 2.21.0."""

import pathlib

from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(**values):
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


image = Summary.Image(height=2, width=3, colorspace=3, encoded_image_string=bytes([137, 80, 78, 71]))
EVENTS = [
    Event(wall_time=1_700_000_000.25, file_version="brain.Event:2", source_metadata=SourceMetadata(writer="panal-tensorboard")),
    Event(wall_time=1_700_000_000.5, step=7, session_log=SessionLog(status=SessionLog.START)),
    Event(wall_time=1_700_000_001.0, step=8, summary=scalars(**{"train/loss": 0.625, "step/learning_rate": 0.0})),
    Event(wall_time=1_700_000_002.0, step=1 << 40, summary=scalars(é=float("-inf"))),
    Event(wall_time=1_700_000_003.5, step=9, summary=Summary(value=[Summary.Value(tag="pictures/first batch", image=image)])),
]

with open(pathlib.Path(__file__).parent / "events.tfevents", "wb") as file:
    writer = RecordWriter(file)
    for event in EVENTS:
        writer.write(event.SerializeToString(deterministic=True))
