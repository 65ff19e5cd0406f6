"""Writes runtime.zip: small networks of which ONNX's own tests leave much out, with the
results that ONNX Runtime 1.32.0 has for them.

    pip install onnx==1.23.2 onnxruntime==1.32.0
    python3 runtime.py
"""
import os
import zipfile

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

OPSET, IR = 22, 10  # of the files

random = np.random.RandomState(1)


def some(*shape):
    return random.uniform(-1, 1, shape).astype(np.float32)


def recurrent(op, gates, units, directions, peepholes=False, **attrs):
    steps, width = 4, 3
    inputs = {"X": some(steps, 1, width), "W": some(directions, gates * units, width), "R": some(directions, gates * units, units),
              "B": some(directions, 2 * gates * units)}
    names = ["X", "W", "R", "B"]
    if peepholes:
        inputs["P"] = some(directions, 3 * units)
        names += ["", "", "", "P"]
    if directions == 2:
        attrs["direction"] = "bidirectional"
    outputs = ["Y", "H", "C"] if op == "LSTM" else ["Y", "H"]
    return helper.make_node(op, names, outputs, hidden_size=units, **attrs), inputs


def convolution(op, x, w, bias=None, **attrs):
    inputs = {"X": some(*x), "W": some(*w)}
    if bias:
        inputs["B"] = some(bias)
    return helper.make_node(op, list(inputs), ["Y"], **attrs), inputs


def deformed(x, w, out, groups, masked=True, bias=None, reach=2.5, **attrs):
    each = w[2] * w[3]
    inputs = {"X": some(*x), "W": some(*w), "offset": reach * some(x[0], groups * each * 2, *out)}
    names = ["X", "W", "offset", "", ""]
    if bias:
        inputs["B"], names[3] = some(bias), "B"
    if masked:
        inputs["mask"], names[4] = some(x[0], groups * each, *out), "mask"
    return helper.make_node("DeformConv", names, ["Y"], offset_group=groups, **attrs), inputs


CASES = {
    "convtranspose_volumes": convolution("ConvTranspose", (1, 2, 3, 4, 2), (2, 3, 2, 3, 2), 3, strides=[2, 1, 3], pads=[1, 0, 1, 0, 2, 0], output_padding=[1, 0, 0]),
    "convtranspose_volumes_groups": convolution("ConvTranspose", (1, 4, 2, 3, 3), (4, 1, 3, 2, 2), dilations=[2, 1, 2], strides=[1, 2, 1], group=2),
    "convtranspose_volumes_same": convolution("ConvTranspose", (1, 1, 3, 2, 3), (1, 2, 3, 3, 2), strides=[2, 2, 1], auto_pad="SAME_UPPER"),
    "rnn_relu": recurrent("RNN", 1, 3, 2, activations=["Relu", "LeakyRelu"], activation_alpha=[0.3]),
    "gru_hard_sigmoid": recurrent("GRU", 3, 2, 1, activations=["HardSigmoid", "Tanh"], activation_alpha=[0.2], activation_beta=[0.5]),
    "gru_reset_last": recurrent("GRU", 3, 3, 2, linear_before_reset=1, activations=["HardSigmoid", "Relu", "Sigmoid", "Softsign"], activation_alpha=[0.4], activation_beta=[0.3]),
    "lstm_hard_sigmoid": recurrent("LSTM", 4, 2, 1, activations=["HardSigmoid", "Tanh", "Softsign"], activation_alpha=[0.2], activation_beta=[0.5]),
    "lstm_peepholes": recurrent("LSTM", 4, 3, 2, peepholes=True, activations=["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Elu", "Affine"], activation_alpha=[0.25, 0.5, 0.75],
                                activation_beta=[0.4, 0.1]),
    "deform_conv": deformed((1, 2, 5, 6), (3, 2, 3, 2), (3, 5), 1, bias=3),
    "deform_conv_groups": deformed((1, 4, 5, 4), (2, 2, 2, 3), (3, 3), 2, group=2, strides=[2, 1], pads=[1, 1, 1, 2], dilations=[2, 2]),
    "deform_conv_unmasked": deformed((1, 1, 1, 4), (1, 1, 1, 3), (1, 4), 1, masked=False, pads=[0, 1, 0, 1], reach=1),
}

with zipfile.ZipFile(os.path.join(os.path.dirname(__file__), "runtime.zip"), "w", zipfile.ZIP_DEFLATED) as z:

    def write(name, data):
        z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)

    for name, (node, inputs) in CASES.items():
        ports = [helper.make_tensor_value_info(n, 1, a.shape) for n, a in inputs.items()]
        results = [helper.make_tensor_value_info(n, 1, None) for n in node.output]
        model = helper.make_model(helper.make_graph([node], name, ports, results), opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        data = model.SerializeToString()
        outputs = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, inputs)
        write(name + "/model.onnx", data)
        for kind, arrays in ("input", inputs.values()), ("output", outputs):
            for i, a in enumerate(arrays):
                write(f"{name}/test_data_set_0/{kind}_{i}.pb", numpy_helper.from_array(a).SerializeToString())
