"""Copies a recording of mindseye and puts an unpredictable background behind its objects.

Blocks of random colours, a texture of 4 pixels that jumps by up to 6 pixels a timestep, replace the floor: all pixels
that are near the most frequent colour of an episode's first image. For the measurements in docs/log.md (2026-11-28).

    python moving_texture.py data/push_t data/push_t_texture --contrast 60 --seed 0

Written with pyarrow 22, numpy 2.3 and pillow 12.
"""

import argparse
import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--contrast", type=int, default=60, help="largest change of a colour, 0 to 127")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shutil.copytree(options.source, options.target)
    random = np.random.default_rng(options.seed)
    for file in sorted((options.target / "data").rglob("*.parquet")):
        table = pq.read_table(file)
        column = next(name for name in table.column_names if name.startswith("observation.images."))
        rows, episodes = table.column(column).to_pylist(), table.column("episode_index").to_pylist()
        before = None
        for row, episode in zip(rows, episodes):
            pixels = np.array(Image.open(io.BytesIO(row["bytes"])).convert("RGB")).astype(int)
            height, width, _ = pixels.shape
            if episode != before:
                before, place = episode, np.zeros(2, int)
                texture = random.integers(-options.contrast, options.contrast + 1, (height // 4, width // 4, 3))
                texture = texture.repeat(4, axis=0).repeat(4, axis=1)
                colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
                colour = colours[counts.argmax()]
            place = place + random.integers(-6, 7, 2)
            floor = np.abs(pixels - colour).max(axis=2) < 12
            moved = np.roll(texture, tuple(place), axis=(0, 1))
            pixels[floor] = np.clip(pixels + moved, 0, 255)[floor]
            encoded = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(encoded, "PNG", compress_level=1)
            row["bytes"] = encoded.getvalue()
        index = table.column_names.index(column)
        images = pa.array(rows, type=table.schema.field(column).type)
        pq.write_table(table.set_column(index, table.schema.field(column), images), file)


if __name__ == "__main__":
    main()
