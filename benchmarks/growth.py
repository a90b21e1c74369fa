"""Time and peak memory as the data grow: epochs, evaluation, one long file. Writes GROWTH.md.

    python benchmarks/growth.py              everything
    python benchmarks/growth.py epochs evaluation "long file"

MetricGAN's epoch is measured with a small discriminator and one second of audio per utterance: it is
the loop around the networks whose growth is in question.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import environment, machine

EPOCHS = (20, 80, 320)
EVALUATIONS = (100, 1000)
MINUTES = (6, 60)
HERE = Path(__file__).parent
LAST = HERE.parent / "build" / "growth.json"


def main():
    known = {
        "epochs": (epoch, EPOCHS),
        "evaluation": (evaluation, EVALUATIONS),
        "long file": (long_file, MINUTES),
    }
    wanted = sys.argv[1:] or list(known)
    results = json.loads(LAST.read_text()) if LAST.exists() and sys.argv[1:] else {}
    for name in wanted:
        results[name] = [measured(name, size) for size in known[name][1]]
        LAST.parent.mkdir(exist_ok=True)
        LAST.write_text(json.dumps(results))
    ordered = {name: results[name] for name in known if name in results}
    (HERE / "GROWTH.md").write_text(document(ordered), encoding="utf-8")
    print(document(ordered))


def measured(name: str, size: int) -> dict:
    """Measures in a process of its own, because peak memory never falls."""
    command = [sys.executable, __file__, "--measure", name, str(size)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"size": size, "failure": reason[-200:]}
    return {"size": size, **json.loads(done.stdout.splitlines()[-1])}


def document(results: dict) -> str:
    titles = {
        "epochs": "MetricGAN epoch, utterances of 1 s, small discriminator",
        "evaluation": "kseg evaluate, PESQ and STOI, files of 1 s, 2 workers",
        "long file": "kseg enhance, minutes of audio",
    }
    facts = machine()
    made = f"Made by `make benchmark-growth` on {facts['processor']}, {facts['cores']} cores."
    lines = ["# Growth", "", made, ""]
    lines += ["| | size | seconds | per unit, ms | peak memory, MB |", "|---|---|---|---|---|"]
    for name, rows in results.items():
        for row in rows:
            if "failure" in row:
                lines.append(f"| {titles[name]} | {row['size']} | not measured: {row['failure']} | | |")
                continue
            unit = f"{1e3 * row['seconds'] / row['size']:.1f}"
            lines.append(
                f"| {titles[name]} | {row['size']} | {row['seconds']:.1f} | {unit} | {row['memory']:.0f} |"
            )
    return "\n".join([*lines, ""])


def epoch(count: int) -> float:
    from epochs import corpus, feedback, seconds_of_epoch, warm_up

    from keras_segan import backends
    from keras_segan.metrics.pool import ScoringPool
    from keras_segan.models import metricgan
    from keras_segan.reproductions import metricgan as recipe
    from keras_segan.training.keep import Last
    from keras_segan.training.loop import Rounds, Training
    from keras_segan.training.run_folder import Run

    backends.make_deterministic(0)
    discriminator = metricgan.discriminator(convolutions=((4, 5),))
    game = recipe.Game(recipe.Settings(), metricgan.generator(), discriminator)
    with tempfile.TemporaryDirectory() as name, ScoringPool(2) as pool:
        folder = Path(name)
        manifest = corpus(folder, count, lengths=(1.0,))
        run = Run.create(folder / "run", {}, pool=pool, quiet=True)
        source = feedback(game, manifest, run, "stoi", count)
        warm_up(source)
        return seconds_of_epoch(Training(source.steps, source, Rounds(0), run, Last()), 1)


def evaluation(count: int) -> float:
    from epochs import corpus

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for utterance in corpus(folder, count, 0, lengths=(1.0,)).utterances:
            for kind in ("clean", "noisy"):
                path = getattr(utterance, kind)
                target = folder / kind / path.name.replace(f"-{kind}", "")
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
        command = ["evaluate", "--clean", folder / "clean", "--enhanced", folder / "noisy"]
        return kseg(*command, "--metrics", "pesq,stoi", "--jobs", 2)


def long_file(minutes: int) -> float:
    import numpy as np

    from keras_segan import audio
    from keras_segan.models import metricgan
    from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Enhancer(metricgan.generator(), SpectralMaskFrontEnd(compression="log1p")).save(
            folder / "model.keras"
        )
        second = np.random.default_rng(0).normal(0, 0.1, audio.SAMPLE_RATE).astype(np.float32)
        audio.write(folder / "noisy.wav", audio.to_int16(np.tile(second, 60 * minutes)))
        command = ["enhance", folder / "noisy.wav", "-o", folder / "out.wav"]
        return kseg(*command, "--model", folder / "model.keras", "--backend", "keras", "--quiet")


def kseg(*arguments) -> float:
    """Runs the command in a process of its own; its time."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "keras_segan", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - start


def measure(name: str, size: int):
    seconds = {"epochs": epoch, "evaluation": evaluation, "long file": long_file}[name](size)
    # Epochs run in this process, the commands in a child; scoring workers are children's children.
    who = resource.RUSAGE_SELF if name == "epochs" else resource.RUSAGE_CHILDREN
    print(json.dumps({"seconds": seconds, "memory": resource.getrusage(who).ru_maxrss / 1024}))


if __name__ == "__main__":
    measure(sys.argv[2], int(sys.argv[3])) if sys.argv[1:2] == ["--measure"] else main()
