"""Measures time as ratios against straightforward versions and writes RESULTS.md beside this file.

    python benchmarks/run.py             everything, about half an hour
    python benchmarks/run.py GROUP...    some groups; the others keep the numbers of their last run

Every group runs in a process of its own with two threads, on TensorFlow; training steps are taken on JAX and
PyTorch as well, where they are installed.
"""

import dataclasses
import datetime
import importlib
import json
import subprocess
import sys
from pathlib import Path

from measuring import Row, document, environment, floors, machine

GROUPS = {
    "generator steps": "training_steps:generator_rows",
    "discriminator steps": "training_steps:discriminator_rows",
    "mixed lengths": "training_steps:mixed_rows",
    "generator alone": "training_steps:generator_alone_rows",
    "epoch": "epochs:rows",
    "enhancement": "training_steps:enhancement_rows",
    "cold start": "cold_start:rows",
    "other papers": "other_papers:rows",
    "waveform GANs": "waveform_steps:rows",
    "signals": "signals:rows",
    "metrics": "metrics:rows",
    "predictors": "predictors:rows",
}
HERE = Path(__file__).parent
LAST = HERE.parent / "build" / "benchmarks.json"
RESULTS = HERE / "RESULTS.md"


def main():
    wanted = sys.argv[1:] or list(GROUPS)
    unknown = set(wanted) - set(GROUPS)
    if unknown:
        sys.exit(f"No group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}.")
    results = json.loads(LAST.read_text()) if sys.argv[1:] and LAST.exists() else {}
    for group in wanted:
        print(f"{group}...", file=sys.stderr)
        results[group] = measured(group)
        ordered = {name: results[name] for name in GROUPS if name in results}
        LAST.parent.mkdir(exist_ok=True)
        LAST.write_text(json.dumps(ordered, indent=1))
        RESULTS.write_text(document(ordered), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


def measured(group: str) -> dict:
    """Runs a group in a fresh process; a group that fails becomes a row that says so."""
    command = [sys.executable, __file__, "--measure", group]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    row = Row(group, note=f"not measured: the group ended with exit code {done.returncode}")
    return _result([row], floors())


def _result(rows, measured_floors) -> dict:
    date = datetime.datetime.now().date().isoformat()
    listed = [dataclasses.asdict(row) for row in rows]
    return {"rows": listed, "floors": measured_floors, "machine": machine(), "date": date}


def measure(group: str):
    """Measures a group in this process and prints its result as JSON."""
    module, _, function = GROUPS[group].partition(":")
    measured_floors = floors()
    rows = []
    for row in getattr(importlib.import_module(module), function)(measured_floors):
        print(f"  {row.name}: {row.ours} {row.baselines}", file=sys.stderr)
        rows.append(row)
    print(json.dumps(_result(rows, measured_floors)))


if __name__ == "__main__":
    measure(sys.argv[2]) if sys.argv[1:2] == ["--measure"] else main()
