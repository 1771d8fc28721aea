"""openpi's own client against `mindseye serve --checkpoint assets/checkpoints/push_t` on port 8000 (or the first
argument): `pip install openpi-client==0.1.2 numpy typing_extensions`, then `python ask_with_openpi.py`. Prints OK."""

import sys
import time

import numpy as np
from openpi_client import action_chunk_broker
from openpi_client.websocket_client_policy import WebsocketClientPolicy

policy = WebsocketClientPolicy("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
metadata = policy.get_server_metadata()
print({name: metadata[name] for name in ("server", "version", "protocol", "action_chunk", "cameras")})
height, width = metadata["cameras"][0]["height"], metadata["cameras"][0]["width"]
rng = np.random.default_rng(0)
now, goal = (rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(2))

answer = policy.infer({"observation/image": now, "goal": goal, "prompt": "push"})
actions = answer["actions"]
assert actions.dtype == np.float32 and actions.ndim == 2 and np.isfinite(actions).all(), actions
try:
    policy.infer({"observation/image": now[:, :, 0]})
except RuntimeError as error:
    assert "observation/image: expected an image" in str(error), error
else:
    raise AssertionError("a wrong shape was accepted")
assert policy.infer({"image": np.transpose(now, (2, 0, 1)).astype(np.float32) / 255})["actions"].shape == actions.shape
committed = actions[:2]
assert (policy.infer({"image": now, "committed": committed})["actions"][:2] == committed).all()
broker = action_chunk_broker.ActionChunkBroker(policy, metadata["action_chunk"])
assert broker.infer({"image": now})["actions"].shape == (len(metadata["actions"]["names"]),)
times = []
for _ in range(100):
    begun = time.perf_counter()
    answer = policy.infer({"observation/image": now})
    times.append(1e3 * (time.perf_counter() - begun))
print("round trip ms p50 / p95:", np.percentile(times, [50, 95]).round(2), answer["server_timing"])
print("OK")
