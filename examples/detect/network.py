# Writes shapes.onnx, a small detector of circles, squares and triangles of any colour on
# grey, with the input and the output of a YOLOv8: images (N, 3, 192, 256) of RGB from 0 to
# 1, candidates (N, 4 + 3, candidates). Its weights are made by hand: how colourful a pixel
# is makes a mask, and templates of each shape in each size slide over the mask, in steps of
# 4 pixels. A score is the correlation of a template and the mask below it; the box is what the mask
# covers there.
#
#   pip install numpy==1.26.4 onnx==1.17.0
#   python network.py
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, CELL = 192, 256, 4
ROWS, COLS = HEIGHT // CELL, WIDTH // CELL
SIZES = [6 * 1.2**i for i in range(7)]  # of objects, in cells
SHAPES = ["circle", "square", "triangle"]

nodes, weights = [], []


def node(op, *inputs, **attributes):
    name = f"{op.lower()}{len(nodes)}"
    nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
    return name


def weight(values):
    name = f"w{len(weights)}"
    weights.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def const(values):
    return weight(np.asarray(values, np.float32))


def inside(shape, x, y):
    """Whether places lie in a shape that fills the square from -1 to 1."""
    if shape == "circle":
        return x * x + y * y <= 1
    if shape == "square":
        return np.maximum(abs(x), abs(y)) <= 1
    return (abs(y) <= 1) & (abs(x) <= (y + 1) / 2)  # the tip is above


def template(shape, size, window):
    """What each cell of a window is worth: the shape without its mean, of length 1."""
    fine = 16  # places a cell
    at = (np.arange(window * fine) + 0.5) / fine - window / 2
    x, y = np.meshgrid(at / (size / 2), at / (size / 2))
    cover = inside(shape, x, y).reshape(window, fine, window, fine).mean((1, 3))
    cover -= cover.mean()
    return cover / np.linalg.norm(cover)


# The mask, a value for each cell.
colourful = node("Sub", node("ReduceMax", "images", axes=[1]), node("ReduceMin", "images", axes=[1]))
pixels = node("Clip", node("Mul", node("Sub", colourful, const(0.2)), const(5)), const(0), const(1))
mask = node("AveragePool", pixels, kernel_shape=[CELL, CELL], strides=[CELL, CELL])

grid = {  # where windows have their middles, in pixels
    "x": const((np.arange(COLS) * CELL + CELL / 2).reshape(1, 1, 1, COLS)),
    "y": const((np.arange(ROWS) * CELL + CELL / 2).reshape(1, 1, ROWS, 1)),
}
shape = weight(np.int64([0, 7, -1]))
candidates = []
for size in SIZES:
    n = int(np.ceil(size / 2)) * 2 + 3  # an odd number of cells, at least one around the shape
    filters = np.stack([template(s, size, n) for s in SHAPES])[:, None].astype(np.float16)
    product = node("Conv", mask, node("Cast", weight(filters), to=TensorProto.FLOAT), pads=[n // 2] * 4)
    # The length of the window's mask without its mean, by which the product is divided.
    along_axis = lambda v, k: node("AveragePool", v, kernel_shape=k, pads=[k[0] // 2, k[1] // 2] * 2, count_include_pad=1)
    mean = lambda v: along_axis(along_axis(v, [n, 1]), [1, n])
    mean_mask = mean(mask)
    variance = node("Sub", mean(node("Mul", mask, mask)), node("Mul", mean_mask, mean_mask))
    norm = node("Mul", node("Sqrt", node("Relu", variance)), const(n))
    scores = node("Div", product, node("Add", norm, const(0.1)))
    box = {}
    for axis, across, along in [("x", [n, 1], [1, n]), ("y", [1, n], [n, 1])]:
        # What the mask covers of each column, or row, of the window; its middle and its length.
        pads = lambda k: [k[0] // 2, k[1] // 2] * 2
        covered = node("MaxPool", mask, kernel_shape=across, pads=pads(across))
        length = node("Conv", covered, const(np.ones([1, 1] + along)), pads=pads(along))
        offsets = (np.arange(n) - n // 2) * float(CELL)
        moment = node("Conv", covered, const(offsets.reshape([1, 1] + along)), pads=pads(along))
        middle = node("Div", moment, node("Add", length, const(1e-3)))
        box[axis] = node("Add", middle, grid[axis])
        box["length " + axis] = node("Mul", length, const(CELL))
    all_of_size = node("Concat", box["x"], box["y"], box["length x"], box["length y"], node("Clip", scores, const(0), const(1)), axis=1)
    candidates.append(node("Reshape", all_of_size, shape))
nodes.append(helper.make_node("Concat", candidates, ["output0"], axis=2))

graph = helper.make_graph(
    nodes,
    "shapes",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, HEIGHT, WIDTH])],
    [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["N", 4 + len(SHAPES), len(SIZES) * ROWS * COLS])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="network.py", ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "shapes.onnx"))
