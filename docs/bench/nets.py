"""Networks of the published architectures, with random weights, as ONNX files.

    python3 docs/bench/nets.py .cache/models/nets

writes those that the folder doesn't hold yet. They run as fast as trained ones; their
results mean nothing.
"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction; a layer takes and gives a value's name."""

    def __init__(self, *row):
        self.row, self.nodes, self.weights = row, [], []
        self.random = np.random.default_rng(1)

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, array):
        return self.constant(np.asarray(array, np.float32))

    def node(self, op, *inputs, outputs=1, **attributes):
        """One name, or a list of several."""
        names = [f"{op.lower()}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def scaled(self, *shape):
        return self.weight(self.random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])))

    def conv(self, x, channels, out, size, stride=1, pad=0, bias=True, group=1):
        inputs = [x, self.scaled(out, channels // group, size, size)] + ([self.weight(np.zeros(out))] if bias else [])
        return self.node("Conv", *inputs, kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4, group=group)

    def norm(self, x, channels):
        scale, shift, mean, variance = (self.weight(self.random.uniform(*r, channels)) for r in ((0.5, 1), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2)))
        return self.node("BatchNormalization", x, scale, shift, mean, variance)

    def unit(self, x, channels, out, size, stride=1, group=1):
        """Convolution and batch normalisation."""
        return self.norm(self.conv(x, channels, out, size, stride, size // 2, bias=False, group=group), out)

    def pool(self, x, size, stride, pad=0):
        return self.node("MaxPool", x, kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4)

    def dense(self, x, inputs, out):
        return self.node("Gemm", x, self.scaled(out, inputs), self.weight(np.zeros(out)), transB=1)

    def classes(self, x, channels, n=1000):
        """The means of the channels, and a dense layer."""
        return self.dense(self.node("Flatten", self.node("GlobalAveragePool", x)), channels, n)

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
        h, channels = net.pool(h, 2, 2), out
    h = net.node("Relu", net.dense(net.node("Flatten", h), 64 * 4 * 4, 512))
    net.save(path, net.dense(h, 512, 10))


def resnet(path, blocks, bottleneck):
    """He and others, 2015; a bottleneck strides in its 3x3 convolution, as torchvision's."""
    net = Net(3, 224, 224)
    h = net.pool(net.node("Relu", net.unit("x", 3, 64, 7, 2)), 3, 2, 1)
    channels = 64
    for stage, n in enumerate(blocks):
        width = 64 << stage
        out = 4 * width if bottleneck else width
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            side = h if stride == 1 and channels == out else net.unit(h, channels, out, 1, stride)
            if bottleneck:
                h = net.node("Relu", net.unit(h, channels, width, 1))
                h = net.node("Relu", net.unit(h, width, width, 3, stride))
                h = net.unit(h, width, out, 1)
            else:
                h = net.unit(net.node("Relu", net.unit(h, channels, out, 3, stride)), out, out, 3)
            h, channels = net.node("Relu", net.node("Add", h, side)), out
    net.save(path, net.classes(h, channels))


def resnet18(path):
    resnet(path, (2, 2, 2, 2), bottleneck=False)


def resnet50(path):
    resnet(path, (3, 4, 6, 3), bottleneck=True)


def mobilenetv2(path):
    """Sandler and others, 2018."""
    net = Net(3, 224, 224)
    zero, six = net.weight(0), net.weight(6)

    def unit(x, channels, out, size, stride=1, group=1):
        return net.node("Clip", net.unit(x, channels, out, size, stride, group), zero, six)

    h, channels = unit("x", 3, 32, 3, 2), 32
    for expand, out, n, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            wide, step = expand * channels, stride if i == 0 else 1
            y = h if expand == 1 else unit(h, channels, wide, 1)
            y = net.unit(unit(y, wide, wide, 3, step, group=wide), wide, out, 1)
            h, channels = net.node("Add", h, y) if step == 1 and channels == out else y, out
    net.save(path, net.classes(unit(h, channels, 1280, 1), 1280))


def yolov8n(path, side=320, classes=80):
    """The smallest of Ultralytics' YOLOv8, as they export it."""
    net = Net(3, side, side)

    def conv(x, channels, out, size=1, stride=1):
        y = net.conv(x, channels, out, size, stride, size // 2)
        return net.node("Mul", y, net.node("Sigmoid", y))

    def c2f(x, channels, out, n, shortcut):
        half = out // 2
        parts = net.node("Split", conv(x, channels, out), net.constant(np.int64([half, half])), axis=1, outputs=2)
        for _ in range(n):
            y = conv(conv(parts[-1], half, half, 3), half, half, 3)
            parts.append(net.node("Add", parts[-1], y) if shortcut else y)
        return conv(net.node("Concat", *parts, axis=1), half * len(parts), out)

    def twice(x):
        return net.node("Resize", x, "", net.weight([1, 1, 2, 2]), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def beside(*parts):
        return net.node("Concat", *parts, axis=1)

    h = c2f(conv(conv("x", 3, 16, 3, 2), 16, 32, 3, 2), 32, 32, 1, True)
    p3 = c2f(conv(h, 32, 64, 3, 2), 64, 64, 2, True)
    p4 = c2f(conv(p3, 64, 128, 3, 2), 128, 128, 2, True)
    h = conv(c2f(conv(p4, 128, 256, 3, 2), 256, 256, 1, True), 256, 128)
    pools = [h]
    for _ in range(3):
        pools.append(net.pool(pools[-1], 5, 1, 2))
    p5 = conv(beside(*pools), 512, 256)
    n4 = c2f(beside(twice(p5), p4), 384, 128, 1, False)
    n3 = c2f(beside(twice(n4), p3), 192, 64, 1, False)
    n4 = c2f(beside(conv(n3, 64, 64, 3, 2), n4), 192, 128, 1, False)
    n5 = c2f(beside(conv(n4, 128, 128, 3, 2), p5), 384, 256, 1, False)

    levels, places, strides = [], [], []
    for x, channels, stride in ((n3, 64, 8), (n4, 128, 16), (n5, 256, 32)):
        boxes = net.conv(conv(conv(x, channels, 64, 3), 64, 64, 3), 64, 64, 1)
        scores = net.conv(conv(conv(x, channels, 80, 3), 80, 80, 3), 80, classes, 1)
        levels.append(net.node("Reshape", beside(boxes, scores), net.constant(np.int64([0, 64 + classes, -1]))))
        cells = side // stride
        y, x = np.divmod(np.arange(cells * cells), cells)
        places.append(np.stack([x, y]) + 0.5)
        strides.append(np.full(cells * cells, stride))
    n = sum(map(len, strides))
    boxes, scores = net.node("Split", net.node("Concat", *levels, axis=2), net.constant(np.int64([64, classes])), axis=1, outputs=2)
    sides = net.node("Transpose", net.node("Reshape", boxes, net.constant(np.int64([0, 4, 16, n]))), perm=[0, 2, 1, 3])
    mean = net.node("Conv", net.node("Softmax", sides, axis=1), net.weight(np.arange(16).reshape(1, 16, 1, 1)), kernel_shape=[1, 1])
    before, after = net.node("Split", net.node("Reshape", mean, net.constant(np.int64([0, 4, n]))), net.constant(np.int64([2, 2])), axis=1, outputs=2)
    place = net.weight(np.concatenate(places, axis=1)[None])
    low, high = net.node("Sub", place, before), net.node("Add", place, after)
    box = beside(net.node("Div", net.node("Add", low, high), net.weight(2)), net.node("Sub", high, low))
    net.save(path, beside(net.node("Mul", box, net.weight(np.concatenate(strides))), net.node("Sigmoid", scores)))


NETS = {f.__name__: f for f in (cnn, mlp, resnet18, resnet50, mobilenetv2, yolov8n)}


def build(folder, name):
    """The file of a network, which is written unless it is there."""
    path = os.path.join(folder, name + ".onnx")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        NETS[name](path + ".part")
        os.replace(path + ".part", path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: nets.py FOLDER")
    for each in NETS:
        print(build(sys.argv[1], each))
