"""Writes nodes.zip: for each operator the smallest tests of ONNX 1.22.0 that pass, and
small ones of operators whose attributes make them many.

    go run ./ml/onnx/modeltest -v > report.txt        # fetches the tests into .cache/models
    pip install onnx==1.22.0
    python3 ml/onnx/testdata/nodes.py .cache/models/onnx-1.22.0 report.txt
"""
import glob
import os
import re
import sys
import zipfile

import onnx

TESTS, LARGEST = 1, 12_000  # for each operator; bytes of a test

FAMILIES = re.compile(  # of which all small tests are taken
    r"test_(gridsample|dft|stft|unique|nonmaxsuppression|scatter(nd|_elements)|qlinear|col2im|matmul_|reduce_.*empty_set$|tensorscatter"
    r"|affine_grid|convinteger|linear_attention|causal_conv|resize_tf_crop|deform_conv|roialign|maxunpool|maxpool_with_argmax)"
)
SMALL = 2_000  # bytes of such a test

root = os.path.join(sys.argv[1], "onnx/backend/test/data")
failed = {m.group(1) for m in re.finditer(r"^(?:refused|WRONG): [^/]*/([^:]*):", open(sys.argv[2]).read(), re.M)}
found, chosen = {}, {}
for model in glob.glob(root + "/*/*/model.onnx"):
    name = os.path.basename(os.path.dirname(model))
    files = sorted([model] + glob.glob(os.path.dirname(model) + "/test_data_set_0/*.pb"))
    size = sum(os.path.getsize(f) for f in files)
    if name in failed or size > LARGEST:
        continue
    if FAMILIES.match(name) and not name.endswith("_expanded") and size <= SMALL:
        chosen[name] = files
    nodes = onnx.load(model).graph.node
    for op in {n.op_type for n in nodes}:
        found.setdefault(op, []).append((len({n.op_type for n in nodes}), size, name, files))
for op in found:
    for _, _, name, files in sorted(found[op])[:TESTS]:
        chosen[name] = files
with zipfile.ZipFile(os.path.join(os.path.dirname(__file__), "nodes.zip"), "w", zipfile.ZIP_DEFLATED) as z:
    for name in sorted(chosen):
        for f in chosen[name]:
            path = os.path.relpath(f, os.path.dirname(os.path.dirname(f)) if f.endswith(".pb") else os.path.dirname(f))
            z.writestr(zipfile.ZipInfo(f"{name}/{path}"), open(f, "rb").read(), zipfile.ZIP_DEFLATED)
