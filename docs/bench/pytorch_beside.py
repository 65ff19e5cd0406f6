"""PyTorch and engine-bench train the same networks on MNIST, in turn, in one sitting.

    make build
    python3 -m venv /tmp/bench && /tmp/bench/bin/pip install -r docs/bench/requirements.txt
    env -u OPENBLAS_CORETYPE /tmp/bench/bin/python docs/bench/pytorch_beside.py

Adam (fused in PyTorch), one core, the images that the repository ships. In a round
each side trains a new network: a warm-up of a tenth of an epoch, then one epoch that
is measured. It prints one line for each model: seconds for 60,000 images of both,
median and best, the median of the rounds' ratios (above 1: Hibana is faster) and the
mean losses of the last round.
"""

import argparse
import gzip
import json
import statistics
import subprocess
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def images(folder, limit):
    """The training images in [0, 1] and their labels, as datasets.MNIST has them."""

    def read(name, header):
        with gzip.open(f"{folder}/{name}") as f:
            return np.frombuffer(f.read(), np.uint8, offset=header).copy()

    x = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    t = read("train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    return torch.from_numpy(x[:limit]), torch.from_numpy(t[:limit])


def network(model):
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 10))


class Trainer:
    def __init__(self, model, batch, x, t):
        torch.manual_seed(1)
        self.net, self.batch, self.x, self.t = network(model), batch, x, t
        self.adam = torch.optim.Adam(self.net.parameters(), fused=True)
        self.order, self.at = torch.randperm(len(x)), 0
        self.steps = (len(x) + batch - 1) // batch

    def rows(self):
        """The next batch's rows, shuffled anew for each pass."""
        rows = self.order[self.at:self.at + self.batch]
        self.at += len(rows)
        if self.at == len(self.order):
            self.order, self.at = torch.randperm(len(self.x)), 0
        return rows

    def train(self, steps):
        """Seconds and the mean loss of some steps."""
        start, total = time.perf_counter(), 0.0
        for _ in range(steps):
            rows = self.rows()
            self.adam.zero_grad()
            loss = F.cross_entropy(self.net(self.x[rows]), self.t[rows])
            loss.backward()
            self.adam.step()
            total += loss.item()
        return time.perf_counter() - start, total / steps


def theirs(model, batch, x, t):
    """Seconds and the mean loss of an epoch."""
    side = Trainer(model, batch, x, t)
    side.train(max(1, side.steps // 10))
    return side.train(side.steps)


def ours(binary, model, batch, limit):
    command = [binary, "train", "--model", model, "--batch", str(batch), "--limit", str(limit), "--epochs", "1", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", default="bin/engine-bench")
    p.add_argument("--data", default="ml/datasets/mnist", help="folder of MNIST's files")
    p.add_argument("--models", default="mlp,cnn")
    p.add_argument("--batch", type=int, default=100)
    p.add_argument("--limit", type=int, default=60000, help="use only the first images, on both sides")
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    torch.set_num_threads(1)
    x, t = images(a.data, a.limit)
    scale = 60000 / len(x)
    print(f"PyTorch {torch.__version__}; {len(x)} images, batch {a.batch}; seconds for 60,000 images: median (best)")
    for model in a.models.split(","):
        rounds = [(*theirs(model, a.batch, x, t), ours(a.bench, model, a.batch, len(x))) for _ in range(a.rounds)]
        torches, mine = [s * scale for s, _, _ in rounds], [o["seconds_per_epoch"] * scale for _, _, o in rounds]
        print(f"{model}: hibana {statistics.median(mine):6.2f} ({min(mine):6.2f})  pytorch {statistics.median(torches):6.2f} ({min(torches):6.2f})  "
              f"ratio {statistics.median(s / m for s, m in zip(torches, mine)):.2f}  "
              f"loss {rounds[-1][2]['loss']:.4f} and {rounds[-1][1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
