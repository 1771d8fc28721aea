"""Training steps of mindseye's shipped recipes in plain PyTorch, for side-by-side ratios with `mindseye bench train`.

Set-up:  python3 -m venv V && V/bin/pip install torch numpy
Run:     V/bin/python docs/speed/torch_recipes.py push_t|two_room [--threads 2 --rounds 3]

The same shapes, losses and optimiser as assets/recipes/*.toml, from random pictures and weights. Prints one JSON line:
steps per second, the best of the rounds (as `bench train` does), of joint training and of the predictor alone.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

BLOCK = 10  # two actions, five control steps
LATENT = 32


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.second(F.silu(self.first(F.silu(x))))


class Keypoints(nn.Module):
    """The eye of push_t."""

    features = 96

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.second = nn.Conv2d(16, 32, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(4, 32)
        self.block = Residual(32)
        self.keypoints = nn.Conv2d(32, 32, 1)
        self.sharpness = nn.Parameter(torch.full((32, 1), 3.0))
        line = torch.linspace(-2, 2, 16)
        places = torch.stack([line.repeat(16), line.repeat_interleave(16)])
        self.register_buffer("places", places)

    def forward(self, pictures):
        coarse = F.silu(self.norm(self.second(F.silu(self.first(pictures)))))
        seen = self.keypoints(F.silu(self.block(coarse))).flatten(2)
        attention = torch.softmax(self.sharpness * seen, dim=2)
        where = attention @ self.places.T
        return torch.cat([where.flatten(1), (attention * seen).sum(2)], dim=1)


class Patches(nn.Module):
    """The eye of two_room."""

    features = 64 * 16

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, stride=8)
        self.blocks = nn.Sequential(Residual(32), Residual(32))
        self.bottleneck = nn.Conv2d(32, 16, 1)

    def forward(self, pictures):
        return F.silu(self.bottleneck(self.blocks(F.silu(self.patches(pictures))))).flatten(1)


class Predictor(nn.Module):
    def __init__(self, hidden, gated):
        super().__init__()
        inner = 2 * hidden if gated else hidden
        self.gated = gated
        self.input, self.input_norm = nn.Linear(LATENT + BLOCK, inner), nn.LayerNorm(inner)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(hidden, inner), nn.LayerNorm(inner)) for _ in range(2))
        self.output = nn.Linear(hidden, LATENT)

    def activate(self, inner):
        if not self.gated:
            return F.silu(inner)
        gate, value = inner.chunk(2, dim=-1)
        return F.silu(gate) * value

    def forward(self, latents, blocks):
        hidden = self.activate(self.input_norm(self.input(torch.cat([latents, blocks], dim=-1))))
        for layer in self.layers:
            hidden = hidden + self.activate(layer(hidden))
        return latents + self.output(hidden)


def whiten(rows):
    centred = rows - rows.mean(0)
    covariance = centred.T @ centred / rows.shape[0] + 1e-3 * torch.eye(rows.shape[1])
    return torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), centred.T, upper=False).T


def sigreg(latents, directions=128, knots=9):
    axes = F.normalize(torch.randn(latents.shape[1], directions), dim=0)
    at = torch.linspace(0, 3, knots)
    angles = (latents @ axes)[..., None] * at
    gaussian = torch.exp(-at.square() / 2)
    weights = torch.full((knots,), 2 * 3 / (knots - 1))
    weights[0] = weights[-1] = 3 / (knots - 1)
    error = (angles.cos().mean(0) - gaussian).square() + angles.sin().mean(0).square()
    return latents.shape[0] * (error @ (weights * gaussian)).mean()


def prediction(predictor, latents, blocks, metric=None):
    frames, predicted, errors = latents.shape[1], latents, []
    for length in range(1, frames):
        starts = frames - length
        predicted = predictor(predicted[:, :starts], blocks[:, length - 1 : length - 1 + starts])
        error = predicted - latents[:, length:]
        errors.append((error if metric is None else error @ metric).square().mean())
    return torch.stack(errors).mean()


RECIPES = {
    "push_t": dict(eye=Keypoints, hidden=384, gated=True, batch=60, sigreg=0.1, inverse=0.3, refine=(256, 6)),
    "two_room": dict(eye=Patches, hidden=256, gated=False, batch=64, sigreg=0.03, inverse=0.0, refine=None),
}


def best_rate(step, rounds, steps):
    step(), step()
    best = 0.0
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        best = max(best, steps / (time.perf_counter() - begun))
    return best


def optimised(loss, weights, optimiser):
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", choices=list(RECIPES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    recipe = RECIPES[options.scene]
    batch, frames = recipe["batch"], 4

    eye = recipe["eye"]()
    projector = nn.Sequential(nn.Linear(eye.features, 256), nn.LayerNorm(256), nn.SiLU(), nn.Linear(256, LATENT))
    encoder = nn.Sequential(eye, projector).to(memory_format=torch.channels_last)
    predictor = Predictor(recipe["hidden"], recipe["gated"])
    inverse = nn.Sequential(nn.Linear(2 * LATENT, 256), nn.SiLU(), nn.Linear(256, BLOCK))
    weights = [*encoder.parameters(), *predictor.parameters(), *inverse.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=1e-3, weight_decay=1e-4, fused=True)
    pictures = torch.randint(0, 256, (batch * frames, 64, 64, 3), dtype=torch.uint8)
    blocks = torch.rand(batch, frames - 1, BLOCK) * 2 - 1

    def joint():
        seen = (pictures.float() / 255 - 0.5).permute(0, 3, 1, 2)  # channels last already
        rows = encoder(seen)
        rows = whiten(rows) if options.scene == "push_t" else rows
        latents = rows.view(batch, frames, LATENT)
        loss = prediction(predictor, latents, blocks) + recipe["sigreg"] * sigreg(rows)
        if recipe["inverse"]:
            pairs = torch.cat([latents[:, :-1], latents[:, 1:]], dim=-1)
            loss = loss + recipe["inverse"] * F.mse_loss(inverse(pairs), blocks)
        optimised(loss, weights, optimiser)

    result = {"scene": options.scene, "threads": options.threads, "torch": torch.__version__}
    result["steps_per_sec"] = best_rate(joint, options.rounds, options.steps)
    if recipe["refine"]:
        rows, length = recipe["refine"]
        latents, acts = torch.randn(rows, length, LATENT), torch.rand(rows, length - 1, BLOCK)
        metric = torch.randn(LATENT, LATENT)
        alone = list(predictor.parameters())
        refiner = torch.optim.AdamW(alone, lr=3e-3, weight_decay=1e-4, fused=True)
        step = lambda: optimised(prediction(predictor, latents, acts, metric), alone, refiner)
        result["refinement_steps_per_sec"] = best_rate(step, options.rounds, options.steps)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
