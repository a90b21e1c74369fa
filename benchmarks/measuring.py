"""Measuring in turn, floors of the machine, and the table of ratios."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

THREADS = 2
PACKAGES = (
    "keras_segan",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "speechbrain",
    "numpy",
    "librosa",
    "pesq",
    "pystoi",
    "onnxruntime",
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
REPEATS = 5
BACKENDS = {"ours on jax": "ours on JAX", "ours on torch": "ours on PyTorch"}  # titles of the columns


@dataclass
class Row:
    """One line of the table; times are medians in seconds.

    Attributes:
        name: What is measured.
        ours: Time of this package.
        baselines: Time by baseline: "keras" (straightforward Keras 3) or "plain" (likewise Python), "torch",
            "speechbrain" (its own networks).
        repeats: Measurements that the medians are of.
        difference: Largest relative difference from the first baseline.
        floor: Least time that the machine could need, as far as that can be said.
        floor_of: What the floor counts.
        note: Anything else.
        backends: Our time on other backends of Keras, by the keys of `BACKENDS`.
    """

    name: str
    ours: float | None = None
    baselines: dict[str, float | None] = field(default_factory=dict)
    repeats: int = REPEATS
    difference: float | None = None
    floor: float | None = None
    floor_of: str = ""
    note: str = ""
    backends: dict[str, float] = field(default_factory=dict)


def environment() -> dict[str, str]:
    """Returns the environment of a process that measures: TensorFlow without oneDNN, as in `keras_segan`."""
    threads = dict.fromkeys(_THREADS, str(THREADS))
    tensorflow = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
    return {**os.environ, **threads, **tensorflow}


def in_turn(functions: dict[str, Callable], repeats: int = REPEATS) -> dict[str, float]:
    """Calls each function once to warm up, then all in turn; returns the median wall time of each."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def compare(name: str, functions: dict[str, Callable], repeats: int = REPEATS, **facts) -> Row:
    """Measures "ours" against all other functions."""
    times = in_turn(functions, repeats)
    backends = {key: times.pop(key) for key in BACKENDS if key in times}
    return Row(name, times.pop("ours"), times, repeats, backends=backends, **facts)


def relative_difference(ours, theirs) -> float:
    """Largest norm of a difference relative to the reference, over lists of arrays."""
    pairs = [
        (np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(ours, theirs, strict=True)
    ]
    return max(float(np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-30)) for a, b in pairs)


def try_speechbrain():
    """SpeechBrain's networks of MetricGAN+, `None` where they are not installed."""
    try:
        from speechbrain.lobes.models import MetricGAN
    except (ImportError, OSError):  # OSError: its torchaudio may be of another PyTorch
        return None
    return MetricGAN


def try_torch():
    """Returns torch with `THREADS` threads, `None` if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(THREADS)
    return torch


def floors() -> dict[str, float]:
    """Measures what the machine can do at best: GEMM and bandwidth on all threads, recurrent products."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((2048, 2048)).astype(np.float32) for _ in range(2))
    one, eight, kernel = a[:1, :200].copy(), a[:8, :200].copy(), b[:200, :800].copy()
    source = np.zeros(2**26, np.float32)
    target = np.empty_like(source)

    def recurrent_products(state):
        for _ in range(1000):
            state @ kernel

    times = {
        name: best(function)
        for name, function in {
            "gemm": lambda: a @ b,
            "copy": lambda: np.copyto(target, source),
            "one": lambda: recurrent_products(one),
            "eight": lambda: recurrent_products(eight),
        }.items()
    }
    return {
        "flops": 2 * 2048**3 / times["gemm"],
        "bytes": 2 * source.nbytes / times["copy"],
        "recurrent_product": times["one"] / 1000,
        "recurrent_product_of_8": times["eight"] / 1000,
    }


def best(function, repeats: int = 7) -> float:
    """Returns the shortest of several times."""
    return min(in_turn({"it": function}, 1)["it"] for _ in range(repeats))


def machine() -> dict:
    """What a time depends on."""
    return {"processor": _processor(), "cores": os.cpu_count(), "threads": THREADS, "versions": _versions()}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    facts = dict(map(str.strip, line.split(":", 1)) for line in text.splitlines() if ":" in line)
    flags = set(facts.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16"}
    return f"{facts.get('model name', platform.machine())} ({', '.join(sorted(flags))})"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def document(results: dict[str, dict]) -> str:
    """Writes the table: one section a group, all rows with ratios.

    Args:
        results: By group: rows, the floors measured beside them, machine and date.
    """
    machine_facts = next(iter(results.values()))["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine_facts["versions"].items())
    columns = ["", "n", "ours", *BACKENDS.values(), "keras", "ratio", "torch", "ratio", "difference"]
    columns += ["floor", "distance", ""]
    lines = [
        "# Benchmarks",
        "",
        *INTRODUCTION,
        "",
        f"Machine: {machine_facts['processor']}, {machine_facts['cores']} cores, "
        f"{machine_facts['threads']} threads. {versions}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for result in results.values():
        lines += [_line(Row(**row)) for row in result["rows"]]
    lines += ["", "Floors were measured with each group:", ""]
    lines += [
        f"- {group} ({result['date']}): GEMM {result['floors']['flops'] / 1e9:.0f} GFLOP/s, memory "
        f"{result['floors']['bytes'] / 1e9:.0f} GB/s, recurrent product (1 x 200)(200 x 800) "
        f"{1e6 * result['floors']['recurrent_product']:.0f} us, "
        f"(8 x 200)(200 x 800) {1e6 * result['floors']['recurrent_product_of_8']:.0f} us"
        for group, result in results.items()
    ]
    return "\n".join([*lines, "", *EXPLANATION, ""])


INTRODUCTION = (
    "Made by `make benchmark`. Times are medians of n in milliseconds. Ours, on TensorFlow, and baselines",
    "were measured in turn in one process (cold starts: in processes of their own), and in the same turns",
    "our training steps on JAX and PyTorch, each in a process of its own. *Ratio*: the baseline's time",
    "over ours, so above 1 we are faster. *Difference*: largest relative norm of ours minus keras's numbers",
    "(loss and gradients of training steps). *Distance*: our time over the floor, see below.",
)
EXPLANATION = (
    "*keras* is the straightforward Keras 3 version (`benchmarks/baselines.py`); without a network it",
    "is the straightforward Python version that the last column names. Floors: *GEMM*: floating-point",
    "operations of direct convolutions and dense layers over the GEMM rate; a distance below 1 means that",
    "fewer operations were needed, by convolving in the frequency domain. *Recurrence*: as many products of",
    "state and recurrent kernel, one after the other, as the time steps need. *Memory*: bytes that",
    "must be read and written over the bandwidth of copying. *Single from double precision*: how far the",
    "gradients of both are from those of the straightforward version in double precision, because rounding",
    "moves single units of LeakyReLU over their kink.",
)


def _line(row: Row) -> str:
    if row.ours is None:
        return f"| {row.name} |" + " |" * (9 + len(BACKENDS)) + f" {row.note} |"
    keras = row.baselines.get("keras", row.baselines.get("plain"))
    torch = row.baselines.get("torch")
    cells = [row.name, str(row.repeats), _ms(row.ours), *(_ms(row.backends.get(key)) for key in BACKENDS)]
    cells += [_ms(keras), _ratio(keras, row.ours)]
    cells += [_ms(torch), _ratio(torch, row.ours)]
    cells += ["" if row.difference is None else f"{row.difference:.0e}", _ms(row.floor)]
    speechbrain = row.baselines.get("speechbrain")
    other = f"SpeechBrain {_ms(speechbrain)}, ratio {_ratio(speechbrain, row.ours)}" if speechbrain else ""
    cells += [_ratio(row.ours, row.floor), "; ".join(filter(None, [row.floor_of, other, row.note]))]
    return "| " + " | ".join(cells) + " |"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{1e3 * seconds:.{0 if seconds >= 0.1 else 1 if seconds >= 1e-3 else 3}f}"


def _ratio(over: float | None, under: float | None) -> str:
    return "" if over is None or not under else f"{over / under:.2f}"
