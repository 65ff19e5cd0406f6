"""Runs a network in ONNX Runtime: JSON in, JSON out (see beside.go)."""
import json
import sys

import numpy as np
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}

task = json.load(sys.stdin)
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(task["model"], options)
types = {i.name: TYPES[i.type] for i in session.get_inputs()}
feeds = {i["name"]: np.array(i["values"]).astype(types[i["name"]]).reshape(i["shape"]) for i in task["inputs"]}
json.dump([v.ravel().tolist() for v in session.run(task["outputs"] or [session.get_outputs()[0].name], feeds)], sys.stdout)
