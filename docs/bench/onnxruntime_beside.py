"""ONNX Runtime and engine-bench on the same ONNX files, in turn, in one sitting.

    make build
    python3 -m venv /tmp/bench && /tmp/bench/bin/pip install -r docs/bench/requirements.txt
    env -u OPENBLAS_CORETYPE /tmp/bench/bin/python docs/bench/onnxruntime_beside.py

It prints one line for each model, batch and number of cores: median and best rates
of both, and the median of the rounds' ratios. On several cores Hibana runs a batch on
each, ONNX Runtime one batch on all. --models takes names of nets.py, which
writes them with random weights, and files. What follows the other flags says how files are
read, as engine-bench inference takes it, and both are given it:

    ... onnxruntime_beside.py --models silero_vad_16k_op15.onnx --batches 1,32 -- \\
        --dim 'input[1]=576' --per-row state --fix sr=16000 --output output,stateN

--list measures the networks that a file lists, and --table writes what came of it into a
page, between two marks:

    make test-models PYTHON=/tmp/bench/bin/python    # or, to fetch the files alone:
    go run ./ml/onnx/modeltest -run NONE && /tmp/bench/bin/python docs/bench/nets.py .cache/models/nets
    ... onnxruntime_beside.py --rounds 3 --list docs/bench/models.txt --table docs/performance.md

A network whose file isn't there is skipped, one that fails is named; --only takes a
regular expression of those to measure.
"""

import argparse
import dataclasses
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

import nets
import numpy as np
import onnxruntime

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
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=600).stdout)


@dataclasses.dataclass
class Model:
    """A network to be measured, and what came of it."""

    name: str
    path: str
    batches: list
    options: list
    rows: dict = dataclasses.field(default_factory=dict)  # by batch and cores
    failed: str = ""

    def measure(self, a, batch, cores):
        session = Theirs(self.path, batch, cores, reading(self.options))
        session.rate(0.2)
        rounds = [(session.rate(a.seconds), ours(a.bench, self.path, batch, cores, a.seconds, self.options)) for _ in range(a.rounds)]
        theirs, mine = [t for t, _ in rounds], [o["images_per_second"] for _, o in rounds]
        row = Row(statistics.median(mine), statistics.median(theirs), statistics.median(m / t for m, t in zip(mine, theirs)), statistics.median(o["ratio"] for _, o in rounds))
        self.rows[batch, cores] = row
        print(f"{self.name:12} batch {batch:3} cores {cores}: hibana {row.mine:8.1f} ({max(mine):8.1f})  onnxruntime {row.theirs:8.1f} ({max(theirs):8.1f})  "
              f"ratio {row.ratio:.2f}  of peak {row.peak:.2f}", flush=True)

    def run(self, a):
        """Measures each batch on each number of cores; what fails is told and ends the model."""
        for cores in a.cores:
            for batch in self.batches:
                try:
                    self.measure(a, batch, cores)
                except subprocess.CalledProcessError as e:
                    self.failed = (e.stderr.decode().strip().splitlines() or [f"exit {e.returncode}"])[-1]
                except Exception as e:  # ONNX Runtime's are of many types
                    self.failed = f"{type(e).__name__}: {e}".splitlines()[0]
                if self.failed:
                    print(f"FAILED {self.name}, batch {batch}, {cores} cores: {self.failed}", flush=True)
                    return


@dataclasses.dataclass
class Row:
    """Medians: rates of both, the ratio of the two in a round, the part of the peak."""

    mine: float
    theirs: float
    ratio: float
    peak: float


def listed(file, cache, only):
    """The networks of a list; those of nets.py are written."""
    models = []
    for line in open(file):
        words = shlex.split(line, comments=True)
        if not words or not re.search(only, words[0]):
            continue
        name, path, batches, *options = words
        base = os.path.basename(path).removesuffix(".onnx")
        if os.path.dirname(path) == "nets":
            nets.build(os.path.join(cache, "nets"), base)
        path = os.path.join(cache, path)
        if os.path.exists(path):
            models.append(Model(name, path, numbers(batches), options))
        else:
            print(f"SKIP {name}: {path} isn't there; make test-models fetches it", flush=True)
    return models


def numbers(text):
    return [int(n) for n in text.split(",")]


def named(a):
    """The networks of --models."""
    models = []
    for name in a.models.split(","):
        path, options = name, a.options
        if not name.endswith(".onnx"):
            path, options = nets.build(os.path.join(a.cache, "nets"), name), []
        batches = [b for b in numbers(a.batches) if b <= 32 or name in ("cnn", "mlp") or path == name]
        models.append(Model(os.path.basename(name), path, batches, options))
    return models


def rate(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def table(models, cores):
    """The table of what was measured, and what the ratios are together."""
    head = "".join(f" {'One core' if c == 1 else f'{c} cores'}: Hibana, rows/s | ONNX Runtime | Ratio |" + (" Of the peak |" if c == 1 else "") for c in cores)
    more = [c for c in cores if c > 1 and 1 in cores]
    lines = ["| Network | Batch |" + head + "".join(f" {c} cores by one |" for c in more)]
    lines.append("|---|" + "--:|" * (lines[0].count("|") - 2))
    ratios, scaled = {c: [] for c in cores}, {c: [] for c in more}
    for m in models:
        for batch in m.batches:
            if m.failed:
                continue
            line = f"| {m.name} | {batch} |"
            for c in cores:
                row = m.rows[batch, c]
                ratios[c].append(row.ratio)
                line += f" {rate(row.mine)} | {rate(row.theirs)} | {row.ratio:.2f} |" + (f" {row.peak:.2f} |" if c == 1 else "")
            for c in more:
                scaled[c].append(m.rows[batch, c].mine / m.rows[batch, 1].mine)
                line += f" {scaled[c][-1]:.2f} |"
            lines.append(line)
    lines.append("")
    if any(c > 1 for c in cores):
        lines += ["On several cores Hibana runs a batch on each, ONNX Runtime one batch on all.", ""]
    wanted = [("Ratio on one core" if c == 1 else f"Ratio on {c} cores", r, 0.9) for c, r in ratios.items()] + [(f"{c} cores by one", s, 0.9 * c) for c, s in scaled.items()]
    for what, all, least in wanted:
        if all:
            lines.append(f"{what}: median {statistics.median(all):.2f}, least {min(all):.2f}, {sum(r < least for r in all)} of {len(all)} below {least:.1f}.  ")
    lines += [f"{m.name} failed: {m.failed}  " for m in models if m.failed]
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- written by onnxruntime_beside.py -->\n", "<!-- end -->\n"


def write(page, text):
    """Puts a table between the marks of a page."""
    before, begin, rest = open(page).read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{page} has no lines {BEGIN.strip()} and {END.strip()} for the table")
    with open(page, "w") as f:
        f.write(before + begin + "\n" + text + "\n" + end + after)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", default="bin/engine-bench")
    p.add_argument("--cache", default=".cache/models", help="where make test-models puts files, and nets.py its own")
    p.add_argument("--models", default="cnn,mlp,resnet18", help=f"of {', '.join(nets.NETS)} and files")
    p.add_argument("--batches", default="1,32,256", help="of --models; large networks take those up to 32")
    p.add_argument("--list", help="a file of networks, instead of --models")
    p.add_argument("--only", default="", help="a regular expression of those of the list")
    p.add_argument("--table", help="a page that gets the results as a table")
    p.add_argument("--cores", type=numbers, default=[1, 2])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5, help="of each side's part of a round")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="of engine-bench inference, for files")
    a = p.parse_args()
    start = time.monotonic()
    models = listed(a.list, a.cache, a.only) if a.list else named(a)
    print(f"ONNX Runtime {onnxruntime.__version__}; rows/s: median (best)", flush=True)
    for m in models:
        m.run(a)
    text = table(models, a.cores)
    print(f"\n{text}\nin {(time.monotonic() - start) / 60:.1f} minutes")
    if a.table:
        write(a.table, text)
    if any(m.failed for m in models):
        sys.exit(1)


if __name__ == "__main__":
    main()
