"""Any Gymnasium environment with Box actions and rgb_array rendering as a world for mindseye.

python gymnasium_env.py Pendulum-v1 [--tolerance 0.2]   (pip install gymnasium pillow)

Its observation is the state, where it is a vector; with --tolerance a goal counts as reached when every value is that
near. The environment cannot be put into a state: mindseye repeats recorded actions from the same seed instead.
"""

import argparse

import mindseye_world  # first: it moves stdout
import gymnasium
import numpy as np
from PIL import Image


class World:
    def __init__(self, name, tolerance, side):
        self.env = gymnasium.make(name, render_mode="rgb_array", max_episode_steps=-1, disable_env_checker=True)
        self.side, self.tolerance, self.over = side, tolerance, False
        self.reset(0)

    def describe(self):
        box, env = self.env.action_space, self.env.unwrapped
        low, high = (np.nan_to_num(bound, posinf=1, neginf=-1).ravel() for bound in (box.low, box.high))
        names = [f"action_{index}" for index in range(low.size)]
        space = {"names": names, "units": ["1"] * low.size, "low": low, "high": high}
        secs = getattr(env, "dt", None) or 1 / env.metadata.get("render_fps", 30)
        state = [f"observation_{index}" for index in range(len(self.state))]
        return {
            "name": self.env.spec.id.replace("/", "_").lower(), "action": space, "control_step_secs": float(secs),
            "cameras": [{"name": "top", "height": self.side, "width": self.side}], "proprioception": state,
            "state": state, "goal_tolerance": [self.tolerance] * len(state) if self.tolerance else [],
            "deterministic": True,
        }

    def reset(self, seed):
        self.see(self.env.reset(seed=seed)[0])
        self.over = False

    def step(self, action):
        if not self.over:  # an environment that has ended stays as it is
            seen, _, self.over, _, _ = self.env.step(
                action.reshape(self.env.action_space.shape).astype(self.env.action_space.dtype))
            self.see(seen)

    def see(self, seen):
        is_vector = isinstance(seen, np.ndarray) and seen.ndim == 1
        self.state = seen.astype(float) if is_vector else np.zeros(0)

    def image(self):
        return Image.fromarray(self.env.render()).resize((self.side, self.side), Image.BOX)

    def observation(self):
        return {"proprioception": self.state, "state": self.state, "terminated": bool(self.over)}


arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("name")
arguments.add_argument("--tolerance", type=float)
given = arguments.parse_args()
mindseye_world.serve(lambda side: World(given.name, given.tolerance, side))
