"""How much 1,000 clients at once, and clients that read nothing or send half a message, delay one that is served.
`mindseye serve --checkpoint assets/checkpoints/push_t` on port 8000 (or the first argument), then
`python many_clients.py`. Needs openpi-client, numpy and websockets."""

import asyncio
import os
import multiprocessing
import socket
import struct
import sys
import time
from collections import Counter

import numpy as np
import websockets
from openpi_client import msgpack_numpy
from openpi_client.websocket_client_policy import WebsocketClientPolicy

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
UPGRADE = (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def measured(policy, image, secs):
    times, ends = [], time.perf_counter() + secs
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        policy.infer({"image": image})
        times.append(1e3 * (time.perf_counter() - begun))
        time.sleep(max(0.0, 0.1 - (time.perf_counter() - begun)))  # a robot at 10 Hz
    return times


def said(name, times):
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    print(f"{name}: {len(times)} requests, p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms", flush=True)


async def crowd(count):
    async def one():
        try:
            async with websockets.connect(f"ws://127.0.0.1:{PORT}", compression=None, open_timeout=30) as socket:
                await socket.recv()
                image = np.zeros((64, 64, 3), np.uint8)
                await socket.send(msgpack_numpy.packb({"image": image, "goal": image}))
                answer = await socket.recv()
                return "served" if isinstance(answer, bytes) else answer
        except websockets.InvalidStatus as error:
            return f"refused: {error.response.status_code} {error.response.body.decode().strip()}"
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"

    begun = time.perf_counter()
    outcomes = Counter(await asyncio.gather(*(one() for _ in range(count))))
    print(f"  {count} at once, all answered after {time.perf_counter() - begun:.2f} s:")
    for outcome, number in outcomes.most_common(8):
        print(f"    {number}: {outcome}", flush=True)


def come(rounds):
    os.nice(5)  # the clients of a real crowd are on other machines
    for _ in range(rounds):
        asyncio.run(crowd(1000))


def stall(count):
    """Clients that read nothing, and clients that send half a message."""
    kept = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", PORT))
        connection.sendall(UPGRADE)
        connection.recv(4096)
        header = struct.pack(">BBQ", 0x82, 0xFF, 1_000_000) + bytes(4)
        connection.sendall(header + bytes(500_000) if number % 2 else (struct.pack(">BB", 0x82, 0x81) + bytes(5)) * 1000)
        kept.append(connection)
    time.sleep(9)


if __name__ == "__main__":
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    policy = WebsocketClientPolicy("127.0.0.1", PORT)
    policy.infer({"image": image, "goal": image[::-1].copy()})
    said("alone", measured(policy, image, 15))
    for name, target, argument in [("beside 1,000 clients", come, 3), ("beside 8 stalled clients", stall, 8)]:
        process = multiprocessing.Process(target=target, args=(argument,))
        process.start()
        times = []
        while process.is_alive():
            times += measured(policy, image, 1)
        said(name, times)
