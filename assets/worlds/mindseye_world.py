"""Serves a world to mindseye: one line of JSON in, one line out (protocol 1, docs/your_robot.md)."""

import base64
import json
import os
import sys
import traceback

import numpy as np

# What libraries print must not end up among the answers: it goes to stderr, which mindseye shows in errors.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def serve(make):
    """Answers requests with the world `make(image_side)` until there are no more. The world has

    describe() -> dict, reset(seed), step(action), image() -> uint8 [H, W, 3], observation() -> dict
    and, as far as describe()["can"] says so, set_state(state), check_goal(state, goal) -> dict, act(seed) -> action:
    its demonstrator's, a new one where seed is not None.
    """
    world = None
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            if request["request"] == "describe":
                world = make(request["image_side"])
            answer["result"] = result_of(world, request)
        except Exception as error:
            traceback.print_exc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            answer["error"] = f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})"
        ANSWERS.write(json.dumps(answer, default=lambda value: value.tolist()) + "\n")
        ANSWERS.flush()


def result_of(world, request):
    kind = request["request"]
    if kind == "describe":
        return {"protocol": 1, **world.describe()}
    if kind == "step":
        return {"steps": list(steps(world, request))}
    if kind == "check_goal":
        return world.check_goal(np.array(request["state"]), np.array(request["goal"]))
    if kind == "act":
        return {"action": world.act(request["seed"])}
    if kind == "stop":
        return {}
    if kind == "reset":
        world.reset(request["seed"])
    elif kind == "set_state":
        world.set_state(np.array(request["state"]))
    elif kind != "observe":
        raise ValueError(f"unknown request {kind}")
    return {"observation": observation(world, with_image=True)}


def steps(world, request):
    for number, action in enumerate(request["actions"], 1):
        world.step(np.array(action))
        last = number == len(request["actions"])
        seen = observation(world, request["images"] == "all" or (request["images"] == "last" and last))
        if request["goal"] is not None:
            seen["check"] = world.check_goal(np.array(seen["state"]), np.array(request["goal"]))
        yield seen


def observation(world, with_image):
    seen = world.observation()
    if with_image:
        pixels = np.ascontiguousarray(world.image(), dtype=np.uint8)
        seen["frames"] = {"top": {"raw": base64.b64encode(pixels).decode()}}
    return seen
