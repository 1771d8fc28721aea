"""Writes recordings of a synthetic arm as LeRobot v2.1 writes them: `python synthetic_arm.py OUT [EPISODES]`.

Two joints and a gripper, commanded by absolute positions at 30 Hz, move between random places on a table and push a
block that they meet; one camera, 96x96, H.264. Needs numpy, pillow, pyarrow and av.
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

FPS, SIDE, SCALE = 30, 96, 4  # drawn at SCALE times the size, then reduced: smooth edges
LINKS, BASE = (0.38, 0.34), np.array([0.5, 0.95])  # in widths of the image
JOINTS = ["shoulder.pos", "elbow.pos", "gripper.pos"]  # degrees, degrees, 0 to 100


def hand(joints):
    """Elbow and hand, in widths of the image."""
    first, second = np.radians(joints[0]), np.radians(joints[0] + joints[1])
    elbow = BASE + LINKS[0] * np.array([np.cos(first), -np.sin(first)])
    return elbow, elbow + LINKS[1] * np.array([np.cos(second), -np.sin(second)])


def draw(joints, block):
    side = SIDE * SCALE
    image = Image.new("RGB", (side, side), (205, 200, 190))
    pen = ImageDraw.Draw(image)
    pen.rectangle([0, 0.97 * side, side, side], fill=(120, 110, 100))
    at = lambda point: tuple(float(value) * side for value in point)
    corner = 0.045 * side
    x, y = at(block)
    pen.rectangle([x - corner, y - corner, x + corner, y + corner], fill=(190, 60, 50))
    elbow, end = hand(joints)
    pen.line([at(BASE), at(elbow)], fill=(60, 90, 160), width=int(0.06 * side))
    pen.line([at(elbow), at(end)], fill=(80, 130, 200), width=int(0.045 * side))
    for point, radius in ((BASE, 0.05), (elbow, 0.035)):
        x, y = at(point)
        pen.ellipse([x - radius * side, y - radius * side, x + radius * side, y + radius * side], fill=(40, 50, 80))
    x, y = at(end)
    radius = (0.02 + 0.03 * joints[2] / 100) * side  # the open gripper is wider
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=(30, 120, 70), width=int(0.018 * side))
    return np.asarray(image.resize((SIDE, SIDE), Image.LANCZOS))


def episode(rng):
    """Commands [T, 3], measured positions [T, 3], images."""
    joints = np.array([rng.uniform(40, 140), rng.uniform(-120, 120), rng.uniform(0, 100)])
    block = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.7)])
    command, actions, states, images = joints.copy(), [], [], []
    for _ in range(rng.integers(4, 7)):
        wanted = np.array([rng.uniform(30, 150), rng.uniform(-130, 130), rng.choice([0.0, 100.0])])
        if rng.random() < 0.4:  # to the block: the nearest of some postures
            tries = np.stack([rng.uniform(30, 150, 200), rng.uniform(-130, 130, 200), np.zeros(200)], -1)
            wanted = tries[np.argmin([np.linalg.norm(hand(one)[1] - block) for one in tries])]
        for _ in range(rng.integers(30, 55)):
            command = command + np.clip(wanted - command, [-3, -4, -8], [3, 4, 8]) + rng.normal(0, 0.3, 3)
            actions.append(command.copy())
            states.append(joints.copy())
            images.append(draw(joints, block))
            joints = joints + 0.5 * (command - joints)  # the servos lag
            away = block - hand(joints)[1]
            distance = np.linalg.norm(away)
            if distance < 0.07:
                block = np.clip(block + away / max(distance, 1e-6) * (0.07 - distance), 0.05, 0.92)
    return np.float32(actions), np.float32(states), images


def main():
    out, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    rng, start, episodes = np.random.default_rng(0), 0, []
    data, videos = out / "data/chunk-000", out / "videos/chunk-000/observation.images.front"
    for folder in (data, videos, out / "meta"):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        actions, states, images = episode(rng)
        length = len(actions)
        with av.open(str(videos / f"episode_{number:06d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=FPS, options={"crf": "23"})
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuv420p"
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        index = np.arange(length)
        columns = {
            "action": pa.array(actions.tolist(), pa.list_(pa.float32(), 3)),
            "observation.state": pa.array(states.tolist(), pa.list_(pa.float32(), 3)),
            "timestamp": pa.array((index / FPS).astype(np.float32)),
            "frame_index": pa.array(index),
            "episode_index": pa.array(np.full(length, number)),
            "index": pa.array(index + start),
            "task_index": pa.array(np.zeros(length, np.int64)),
        }
        pq.write_table(pa.table(columns), data / f"episode_{number:06d}.parquet")
        episodes.append({"episode_index": number, "tasks": ["push the block"], "length": length})
        start += length
    vector = {"dtype": "float32", "shape": [3], "names": JOINTS}
    image = {"dtype": "video", "shape": [SIDE, SIDE, 3], "names": ["height", "width", "channels"], "info": None}
    whole = {"dtype": "int64", "shape": [1], "names": None}
    info = {
        "codebase_version": "v2.1",
        "robot_type": "synthetic_arm",
        "total_episodes": count,
        "total_frames": start,
        "total_tasks": 1,
        "total_videos": count,
        "total_chunks": 1,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": f"0:{count}"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {
            "observation.images.front": image,
            "observation.state": vector,
            "action": vector,
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: whole for name in ("frame_index", "episode_index", "index", "task_index")},
        },
    }
    lines = lambda rows: "".join(json.dumps(row) + "\n" for row in rows)
    (out / "meta/info.json").write_text(json.dumps(info, indent=1))
    (out / "meta/episodes.jsonl").write_text(lines(episodes))
    (out / "meta/tasks.jsonl").write_text(lines([{"task_index": 0, "task": "push the block"}]))


main()
