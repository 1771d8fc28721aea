"""gym-pusht (gym_pusht/PushT-v0) as a world for mindseye (pip install gymnasium gym-pusht).

Its own goal is not drawn: goals are given as images. Lengths are in metres, the side of 512 units being 1 m, as in
mindseye's push_t. An action is the pusher's next target relative to where it is. The predicate is the field's: pusher
and block within 20 units (the norm over both), the block's angle within 20 degrees.
"""

import math

import mindseye_world  # first: it moves stdout
import gymnasium
import gym_pusht
import numpy as np
import pygame
from gym_pusht.envs.pymunk_override import DrawOptions

UNITS = 512.0  # per metre
REACH = 40.0  # of an action, units
RADIUS = 15.0  # of the pusher, units
# The block's two rectangles in its own frame, units: left, top, right, bottom.
PARTS = np.array([[-60, 0, 60, 30], [-15, 30, 15, 120]])
CENTRE = np.array([0.0, 45.0])  # its centre of mass
EXTENT = 80.0  # of the block round its centre
GYRATION = 46.0  # how far a turn by 1 rad moves its material, units
VELOCITY = ["agent_x_m_per_s", "agent_y_m_per_s"]


class World:
    def __init__(self, side):
        self.env = gymnasium.make("gym_pusht/PushT-v0", render_mode="rgb_array").unwrapped
        self.side = side
        self.reset(0)

    def describe(self):
        space = {"names": ["target_x", "target_y"], "units": ["m", "m"],
                 "low": [-REACH / UNITS] * 2, "high": [REACH / UNITS] * 2}
        return {
            "name": "gym_pusht", "action": space, "control_step_secs": 1 / self.env.control_hz,
            "cameras": [{"name": "top", "height": self.side, "width": self.side}],
            # One image does not show how fast the pusher moves.
            "proprioception": ["agent_x_m", "agent_y_m", *VELOCITY],
            "state": ["agent_x_m", "agent_y_m", "block_x_m", "block_y_m", "block_angle_rad", *VELOCITY],
            "can": {"set_state": True, "check_goal": True, "act": True}, "deterministic": True,
        }

    def reset(self, seed):
        self.env.reset(seed=seed)
        self.put([*self.env.agent.position, *self.env.block.position, self.env.block.angle, 0, 0])

    def put(self, state):
        """Everything at `state`, in units; the block, which damping stops at once, at rest."""
        agent, block = self.env.agent, self.env.block
        agent.velocity, block.velocity, block.angular_velocity = tuple(state[5:]), (0, 0), 0
        agent.position = tuple(state[:2])
        block.angle = state[4]  # turns round the centre of mass, and so moves the block: first
        block.position = tuple(state[2:4])
        self.env.space.reindex_shapes_for_body(agent)
        self.env.space.reindex_shapes_for_body(block)

    def set_state(self, state):
        self.env.reset(seed=0)  # a new physics space: nothing is left of contacts before
        self.put([*(state[:4] * UNITS), state[4], *(state[5:] * UNITS)])

    def state(self):
        """In units."""
        agent, block = self.env.agent, self.env.block
        return np.array([*agent.position, *block.position, block.angle, *agent.velocity])

    def step(self, action):
        target = np.array(self.env.agent.position) + action * UNITS
        self.env.step(np.clip(target, 0, 512))

    def image(self):
        screen = pygame.Surface((512, 512))
        screen.fill((255, 255, 255))
        options = DrawOptions(screen)
        options.flags = DrawOptions.DRAW_SHAPES  # without points of contact, which no goal would show
        self.env.space.debug_draw(options)
        small = pygame.transform.smoothscale(screen, (self.side, self.side))
        return np.transpose(pygame.surfarray.array3d(small), (1, 0, 2))

    def observation(self):
        state = self.state() / UNITS
        state[4] *= UNITS  # an angle
        return {"state": state, "proprioception": [*state[:2], *state[5:]]}

    def check_goal(self, state, goal):
        agent, block = np.linalg.norm(state[:2] - goal[:2]) * UNITS, np.linalg.norm(state[2:4] - goal[2:4]) * UNITS
        angle = abs(math.remainder(state[4] - goal[4], 2 * math.pi))
        return {
            "moderate": bool(math.hypot(agent, block) < 20 and angle < math.pi / 9),
            "strict": bool(block < 10 and angle < math.pi / 18),
            "distance": math.hypot(agent, block, GYRATION * angle) / UNITS,
            "metrics": {"block": bool(block < 20 and angle < math.pi / 9), "block_distance_m": block / UNITS,
                        "block_rotation_rad": angle},
        }

    def act(self, seed):
        if seed is not None:
            self.demonstrator = Demonstrator(np.random.default_rng(seed))
        return np.clip(self.demonstrator.act(self.state()) / UNITS, -REACH / UNITS, REACH / UNITS)


class Demonstrator:
    """Pushes the block about: goes to a side of it and pushes through a random point, again and again."""

    def __init__(self, rng):
        self.rng, self.phase, self.left, self.speed = rng, "decide", 0, 1.0
        self.noise = 0.0 if rng.random() < 0.3 else rng.uniform(0.05, 0.4)

    def act(self, state):
        agent, self.angle, self.origin = state[:2], state[4], state[2:4]
        if self.phase == "decide":
            self.choose(agent)
        if self.phase == "approach":
            start = self.to_world(self.start)
            if np.linalg.norm(start - agent) < 10:
                self.phase, self.left = "push", self.steps
            elif self.left == 0:
                self.choose(agent)
            if self.phase == "approach":
                self.left -= 1
                return self.towards(agent, self.detour(agent, self.to_world(self.start)), 1.0)
        if self.phase == "push":
            self.left -= 1
            ahead = agent + 2 * REACH * self.turned(self.direction, self.angle)
            if self.left <= 0 or self.rng.random() < 0.05:
                rests = self.rng.random() < 0.2
                self.phase, self.left = ("rest", self.rng.integers(1, 7)) if rests else ("decide", 0)
            return self.towards(agent, ahead, self.speed)
        self.left -= 1
        if self.left <= 0:
            self.phase = "decide"
        return np.zeros(2)

    def choose(self, agent):
        """The next push, fixed to the block: where it starts, its direction, and how long it is."""
        here = self.to_block(agent) - CENTRE
        for _ in range(20):
            part = PARTS[0] if self.rng.random() < 0.57 else PARTS[1]
            aim = self.rng.uniform(part[:2], part[2:])
            bearing = math.atan2(here[1], here[0]) + self.rng.uniform(-2.2, 2.2)
            away = np.array([math.cos(bearing), math.sin(bearing)])
            start = aim
            while distance(start) < RADIUS + 8:
                start = start + 4 * away
            if np.all(np.abs(self.to_world(start) - 256) < 256 - 6 - RADIUS):
                self.start, self.direction, self.speed = start, -away, self.rng.uniform(0.3, 1.0)
                self.steps = int(self.rng.uniform(20, 200) / (0.4 * REACH * self.speed)) + 1
                self.phase, self.left = "approach", 40
                return
        self.phase, self.left = "rest", 2

    def towards(self, agent, position, speed):
        # At a steady pace the pusher moves by half of an action in a control step.
        step = 2 * (position - agent)
        step *= speed * REACH / max(np.linalg.norm(step), REACH)
        return step + self.noise * REACH * self.rng.normal(size=2)

    def detour(self, agent, position):
        """The next point to head for towards `position`, round the block where it is in between."""
        here, there = self.to_block(agent), self.to_block(position)
        way = [here + (there - here) * share for share in np.linspace(0.1, 1, 10)]
        if all(distance(point) > min(RADIUS + 1, distance(here)) for point in way):
            return position
        radius = EXTENT + RADIUS + 4
        here, there = (math.atan2(*(point - CENTRE)[::-1]) for point in (here, there))
        turn = math.remainder(there - here, 2 * math.pi)
        bearing = here + math.copysign(min(abs(turn), REACH / radius), turn)
        point = self.to_world(CENTRE + radius * np.array([math.cos(bearing), math.sin(bearing)]))
        return np.clip(point, 6 + RADIUS, 506 - RADIUS)

    @staticmethod
    def turned(vector, angle):
        return np.array([vector[0] * math.cos(angle) - vector[1] * math.sin(angle),
                         vector[0] * math.sin(angle) + vector[1] * math.cos(angle)])

    def to_world(self, point):
        return self.origin + self.turned(point, self.angle)

    def to_block(self, point):
        return self.turned(point - self.origin, -self.angle)


def distance(point):
    """From the surface of the block, units; negative inside."""
    outside = np.maximum(PARTS[:, :2] - point, point - PARTS[:, 2:])
    beyond = np.linalg.norm(np.maximum(outside, 0), axis=1)
    return np.min(np.where(beyond > 0, beyond, outside.max(axis=1)))


if __name__ == "__main__":
    mindseye_world.serve(World)
