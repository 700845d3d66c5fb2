"""Images a second of NVIDIA DALI's CPU pipelines with 2 threads, the median of three passes from files: python dali.py hymenoptera_data"""

import glob
import sys
import time
from statistics import median

from nvidia.dali import fn, pipeline_def, types

MEAN, STD = [0.485 * 255, 0.456 * 255, 0.406 * 255], [0.229 * 255, 0.224 * 255, 0.225 * 255]
FILES = sorted(glob.glob(sys.argv[1] + "/train/*/*.jp*g"))
CPU = dict(batch_size=32, num_threads=2, device_id=None, prefetch_queue_depth=2)


def finish(images, mirror=0):
    return fn.crop_mirror_normalize(
        images, crop=(224, 224), mirror=mirror, mean=MEAN, std=STD, dtype=types.FLOAT, output_layout="CHW"
    )


@pipeline_def(**CPU)
def evaluation():
    files, labels = fn.readers.file(files=FILES, random_shuffle=True)
    images = fn.decoders.image(files, device="cpu")
    images = fn.resize(images, resize_shorter=256, interp_type=types.INTERP_TRIANGULAR)
    return finish(images), labels


@pipeline_def(**CPU)
def supervised():
    files, labels = fn.readers.file(files=FILES, random_shuffle=True)
    # Decodes only what the crop needs.
    images = fn.decoders.image_random_crop(files, device="cpu", random_area=[0.08, 1.0], random_aspect_ratio=[0.75, 4 / 3])
    images = fn.resize(images, size=(224, 224), interp_type=types.INTERP_TRIANGULAR)
    return finish(images, mirror=fn.random.coin_flip()), labels


if __name__ == "__main__":
    for name, pipeline in [("eval dali", evaluation()), ("sup dali", supervised())]:
        pipeline.build()
        rates = []
        for _ in range(3):
            start, done = time.time(), 0
            while done < len(FILES):
                done += len(pipeline.run()[0])
            rates.append(done / (time.time() - start))
        print(f"{name:20} {median(rates):.1f} img/s", flush=True)
