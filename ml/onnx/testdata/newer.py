"""Writes newer.zip: the tests of operators that ONNX 1.23.2 has and 1.22.0 hadn't, of
opsets that are read, but for those that are refused. Its package has what makes them,
not their data.

    pip install onnx==1.23.2
    python3 newer.py ../../../.cache/models/onnx-1.22.0
"""
import os
import sys
import zipfile

from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

NEWEST = 28
REFUSED = {"test_reduce_max_empty_set_bool", "test_bitshift_left_int32_overflow", "test_bitshift_right_int32_negative_input"}
CHANGED = {"test_reversesequence_batch"}  # that has had other data

old = set(os.listdir(os.path.join(sys.argv[1], "onnx/backend/test/data/node")))
with zipfile.ZipFile(os.path.join(os.path.dirname(__file__), "newer.zip"), "w", zipfile.ZIP_DEFLATED) as z:

    def write(name, data):
        z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)

    for test in sorted(collect_testcases(None), key=lambda t: t.name):
        opset = {o.domain: o.version for o in test.model.opset_import}.get("", NEWEST + 1)
        if test.name in (old - CHANGED) | REFUSED or test.name.endswith("_expanded") or opset > NEWEST:
            continue
        write(test.name + "/model.onnx", test.model.SerializeToString())
        inputs, outputs = test.data_sets[0]
        for kind, arrays, ports in ("input", inputs, test.model.graph.input), ("output", outputs, test.model.graph.output):
            for i, a in enumerate(arrays):
                if not isinstance(a, TensorProto):
                    a = numpy_helper.from_array(a, ports[i].name)
                write(f"{test.name}/test_data_set_0/{kind}_{i}.pb", a.SerializeToString())
