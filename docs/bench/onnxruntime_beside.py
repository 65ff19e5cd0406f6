"""ONNX Runtime and engine-bench on the same ONNX files, in turn, in one sitting.

    make build
    python3 -m venv /tmp/bench && /tmp/bench/bin/pip install -r docs/bench/requirements.txt
    env -u OPENBLAS_CORETYPE /tmp/bench/bin/python docs/bench/onnxruntime_beside.py

It writes cnn.onnx, mlp.onnx and resnet18.onnx with random weights to --dir and
prints one line for each model, batch and number of cores: median and best rates
of both, and the median of the rounds' ratios.

--models also takes files. What follows the other flags says how they are read, as
engine-bench inference takes it, and both are given it:

    ... onnxruntime_beside.py --models silero_vad_16k_op15.onnx --batches 1,32 -- \\
        --dim 'input[1]=576' --per-row state --fix sr=16000 --output output,stateN
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction; a layer takes and gives a value's name."""

    def __init__(self, *row):
        self.row, self.nodes, self.weights = row, [], []
        self.random = np.random.default_rng(1)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def node(self, op, *inputs, **attributes):
        out = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def scaled(self, *shape):
        return self.weight(self.random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])))

    def conv(self, x, channels, out, size, stride=1, pad=0, bias=True):
        inputs = [x, self.scaled(out, channels, size, size)] + ([self.weight(np.zeros(out))] if bias else [])
        return self.node("Conv", *inputs, kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4)

    def norm(self, x, channels):
        scale, shift, mean, variance = (self.weight(self.random.uniform(*r, channels)) for r in ((0.5, 1), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2)))
        return self.node("BatchNormalization", x, scale, shift, mean, variance)

    def dense(self, x, inputs, out):
        return self.node("Gemm", x, self.scaled(out, inputs), self.weight(np.zeros(out)), transB=1)

    def save(self, path, output):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *self.row])
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def mlp(path):
    net = Net(1, 28, 28)
    h = net.node("Flatten", "x")
    for inputs, out in ((784, 1000), (1000, 1000)):
        h = net.node("Relu", net.dense(h, inputs, out))
    net.save(path, net.dense(h, 1000, 10))


def cnn(path):
    net, h, channels = Net(1, 28, 28), "x", 1
    for out in (32, 64):
        h = net.node("Relu", net.conv(h, channels, out, 5))
        h, channels = net.node("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2]), out
    h = net.node("Relu", net.dense(net.node("Flatten", h), 64 * 4 * 4, 512))
    net.save(path, net.dense(h, 512, 10))


def resnet18(path):
    net = Net(3, 224, 224)

    def unit(x, channels, out, size, stride):
        return net.norm(net.conv(x, channels, out, size, stride, size // 2, bias=False), out)

    h = net.node("Relu", unit("x", 3, 64, 7, 2))
    h, channels = net.node("MaxPool", h, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
    for out in (64, 128, 256, 512):
        for stride in (1 if out == 64 else 2, 1):
            side = h if stride == 1 else unit(h, channels, out, 1, stride)
            h = unit(net.node("Relu", unit(h, channels, out, 3, stride)), out, out, 3, 1)
            h, channels = net.node("Relu", net.node("Add", h, side)), out
    h = net.node("Flatten", net.node("GlobalAveragePool", h))
    net.save(path, net.dense(h, 512, 1000))


TYPES = {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_} | {
    f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)}


def reading(options):
    """How a file is read: flags of engine-bench inference."""
    p = argparse.ArgumentParser(prog="-- ")
    p.add_argument("--dim", action="append", default=[], type=lambda s: s.rsplit("=", 1))
    p.add_argument("--fix", action="append", default=[], type=lambda s: s.rsplit("=", 1))
    p.add_argument("--per-row", default="")
    p.add_argument("--output", default="")
    p.add_argument("--axis", type=int, default=0)
    p.add_argument("--ids", type=int, default=100)
    p.add_argument("--whole", action="store_true")
    return p.parse_args(options)


class Theirs:
    """ONNX Runtime; a file whose batch is fixed, or that has none, takes a call for each of its batches."""

    def __init__(self, path, batch, cores, how):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = cores, 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.outputs = how.output.split(",") if how.output else [self.session.get_outputs()[0].name]
        self.feeds, self.rows = {}, 1 if how.whole else batch
        dims, fixed, random = {k: int(v) for k, v in how.dim}, dict(how.fix), np.random.default_rng(2)
        more, batch_name = how.per_row.split(","), None
        ports = sorted(self.session.get_inputs(), key=lambda p: (p.name in fixed, p.name in more))  # the row's own first
        for port in ports:
            shape = []
            for i, d in enumerate(port.shape):
                size = d if isinstance(d, int) else dims.get(f"{port.name}[{i}]", dims.get(d))
                first = port is ports[0] and i == how.axis
                if first and not how.whole:
                    batch_name = d if isinstance(d, str) else None
                    self.rows = size or batch
                elif size is None and not how.whole and (d == batch_name or i == how.axis):
                    size = self.rows
                shape.append(size or self.rows)
            kind = np.dtype(TYPES[port.type.removeprefix("tensor(").removesuffix(")")])
            if port.name in fixed:
                x = np.array(fixed[port.name].split(","), dtype=np.float64)
                x = np.full(shape, x[0]) if len(x) == 1 else x.reshape(shape)
            elif kind.kind == "f":
                x = random.random(shape)
            else:
                x = random.integers(0, 2 if kind.kind == "b" else how.ids, shape)
            self.feeds[port.name] = np.ascontiguousarray(x, dtype=kind)

    def rate(self, seconds):
        start, n = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            self.session.run(self.outputs, self.feeds)
            n += self.rows
        return n / (time.perf_counter() - start)


def ours(binary, path, batch, cores, seconds, options):
    command = [binary, "inference", "--model", path, "--batch", str(batch), "--cores", str(cores), "--rounds", "1", "--time", f"{seconds}s", "--json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", default="bin/engine-bench")
    p.add_argument("--dir", default="/tmp/bench-models")
    p.add_argument("--models", default="cnn,mlp,resnet18")
    p.add_argument("--batches", default="1,32,256", help="ResNet-18 takes those up to 32")
    p.add_argument("--cores", default="1,2")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5, help="of each side's part of a round")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="of engine-bench inference, for files")
    a = p.parse_args()
    os.makedirs(a.dir, exist_ok=True)
    print(f"ONNX Runtime {onnxruntime.__version__}; images/s: median (best)")
    for model in a.models.split(","):
        path, options = model, a.options
        if not model.endswith(".onnx"):
            path, options = os.path.join(a.dir, model + ".onnx"), []
            {"cnn": cnn, "mlp": mlp, "resnet18": resnet18}[model](path)
        for cores in map(int, a.cores.split(",")):
            for batch in map(int, a.batches.split(",")):
                if model == "resnet18" and batch > 32:
                    continue
                session = Theirs(path, batch, cores, reading(options))
                session.rate(0.2)
                rounds = [(session.rate(a.seconds), ours(a.bench, path, batch, cores, a.seconds, options)) for _ in range(a.rounds)]
                theirs, mine = [t for t, _ in rounds], [o["images_per_second"] for _, o in rounds]
                print(f"{os.path.basename(model):9} batch {batch:3} cores {cores}: "
                      f"hibana {statistics.median(mine):8.1f} ({max(mine):8.1f})  onnxruntime {statistics.median(theirs):8.1f} ({max(theirs):8.1f})  "
                      f"ratio {statistics.median(m / t for m, t in zip(mine, theirs)):.2f}  of peak {statistics.median(o['ratio'] for _, o in rounds):.2f}", flush=True)


if __name__ == "__main__":
    main()
