"""Recordings by lerobot's and stable-worldmodel's own writers, and what their own readers give. See README.md.

    python peers.py record FOLDER            writes recordings by both libraries into FOLDER
    python peers.py compare FIRST SECOND     both opened by the library of their format: equal windows?
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

EPISODES, LENGTH, SIDE, FPS, WINDOW = 30, 80, 64, 10, 4


def episode(number):
    """Images [T, H, W, 3], states and actions [T, 2] of a disc that goes as the actions say."""
    random = np.random.default_rng(number)
    place, rows, columns = np.array([32.0, 32.0]), *np.mgrid[0:SIDE, 0:SIDE]
    images, states, actions = [], [], []
    for step in range(LENGTH):
        if step % 4 == 0:
            velocity = random.uniform(-3, 3, 2)
        velocity = np.where((place + velocity < 10) | (place + velocity > 54), -velocity, velocity)
        distance = np.hypot(columns - place[0], rows - place[1])
        inside = np.clip(8 - distance, 0, 1)[..., None]
        background = np.stack([rows + 60, columns + 90, np.full_like(rows, 140)], -1)
        images.append((inside * [230, 60, 40] + (1 - inside) * background).astype(np.uint8))
        states.append(place.astype(np.float32))
        actions.append(velocity.astype(np.float32))
        place = place + velocity
    return np.stack(images), np.stack(states), np.stack(actions)


def record_lerobot(root, video):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    vector = lambda names: {"dtype": "float32", "shape": (2,), "names": names}
    image = {"dtype": "video" if video else "image", "shape": (SIDE, SIDE, 3)}
    features = {
        "observation.images.front": {**image, "names": ["height", "width", "channels"]},
        "observation.state": vector(["x", "y"]),
        "action": vector(["dx", "dy"]),
    }
    dataset = LeRobotDataset.create("peers/disc", fps=FPS, features=features, root=root, use_videos=video)
    for number in range(EPISODES):
        for image, state, action in zip(*episode(number)):
            frame = {"observation.images.front": image, "observation.state": state, "action": action}
            dataset.add_frame({**frame, "task": "go about"})
        dataset.save_episode()
    dataset.finalize()


def record_stable_worldmodel(path, kind):
    from stable_worldmodel.data.format import get_format

    options = {"fps": FPS} if kind == "video" else {}
    with get_format(kind).open_writer(path, **options) as writer:
        for number in range(EPISODES):
            images, states, actions = episode(number)
            # As its recorder does: nothing follows the last image. Lance refuses it.
            actions[-1] = 0 if kind == "lance" else np.nan
            columns = {"pixels": images, "proprio": states, "action": actions}
            columns["episode_idx"] = np.full(LENGTH, number)
            columns["step_idx"] = np.arange(LENGTH)
            writer.write_episode({name: list(array) for name, array in columns.items()})


def windows_lerobot(root):
    """Windows of images [N, WINDOW, H, W, 3] and actions [N, WINDOW, A], at every fifth timestep."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    camera = next(key for key in LeRobotDataset("peers/disc", root=root).meta.camera_keys)
    deltas = {key: [step / FPS for step in range(WINDOW)] for key in [camera, "action"]}
    dataset = LeRobotDataset("peers/disc", root=root, delta_timestamps=deltas)
    items = [dataset[index] for index in range(0, len(dataset), 5)]
    whole = [item for item in items if not item["action_is_pad"].any()]
    images = [np.moveaxis((item[camera].numpy() * 255).round(), 1, -1) for item in whole]
    return np.stack(images), np.stack([item["action"].numpy() for item in whole])


def windows_stable_worldmodel(path):
    from stable_worldmodel.data.utils import load_dataset

    dataset = load_dataset(str(path.resolve()), num_steps=WINDOW)
    items = [dataset[index] for index in range(0, len(dataset), 5)]
    images = [np.moveaxis(item["pixels"].numpy().astype(float), 1, -1) for item in items]
    return np.stack(images), np.stack([item["action"].numpy() for item in items])


def windows(path):
    if (path / "meta/info.json").exists():
        return windows_lerobot(path)
    return windows_stable_worldmodel(path)


def record(folder):
    folder.mkdir(parents=True)
    record_lerobot(folder / "lerobot_video", True)
    record_lerobot(folder / "lerobot_image", False)
    for kind, name in [("hdf5", "swm.h5"), ("folder", "swm_folder"), ("lance", "swm.lance")]:
        record_stable_worldmodel(folder / name, kind)


def compare(first, second):
    (images, actions), (other_images, other_actions) = windows(first), windows(second)
    if len(actions) != len(other_actions):
        sys.exit(f"{first} has {len(actions)} windows, {second} {len(other_actions)}")
    # A missing last action is one that is not compared.
    told = ~(np.isnan(actions) | np.isnan(other_actions))
    difference = np.abs(images - other_images)
    equal = bool((actions[told] == other_actions[told]).all())
    print(
        f"{first.name} and {second.name}: {len(actions)} windows; actions equal: {equal} ({(~told).sum()} missing);"
        f" pixels differ by at most {difference.max():.0f}, {difference.mean():.3f} on average"
    )
    if not equal or difference.max() > 0:
        sys.exit(1)


if __name__ == "__main__":
    names = ["lerobot", "stable-worldmodel", "torch", "datasets", "pyarrow", "av", "h5py", "numpy"]
    print(", ".join(f"{name} {version(name)}" for name in names), "Python", sys.version.split()[0])
    verb, *paths = sys.argv[1:]
    {"record": record, "compare": compare}[verb](*map(Path, paths))
