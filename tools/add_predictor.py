"""Adds a trained predictor to `pretrained/`: measures its agreement with true scores, registers it.

    python tools/add_predictor.py RUN NAME --manifest SCORED.csv --tested-on TEXT --data TEXT --licence TEXT

RUN is a folder that `kseg reproduce` made; the manifest's test files carry their scores (`kseg data score`).
Then come: the `.keras` file, its output on a bundled sentence, the entry in `registry.toml`, the card.
"""

import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import add_pretrained
import model_cards

from keras_segan import _version, audio, prediction
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.models import registry
from keras_segan.reproduction import stored
from keras_segan.reproduction.outcomes import bootstrap
from keras_segan.reproduction.outcomes.prediction import PREDICTED, TRUE, agreement, calibration

BLOCK = 64  # files that are scored at once
CHANGED = 40  # files whose scores are taken again after a change
SECONDS_OF_SILENCE = 2.0


def read(utterance: Utterance, model) -> np.ndarray:
    """Returns the waveform of a file at the model's rate."""
    return audio.read_mono(utterance.noisy, model.front_end.sample_rate) * np.float32(utterance.scale)


def predicted(model, waveforms) -> np.ndarray:
    """Returns the predicted score of each waveform."""
    found: list[float] = []
    for start in range(0, len(waveforms), BLOCK):
        block = waveforms[start : start + BLOCK]
        scores = prediction.predict_many(model, [w() for w in block], model.front_end.sample_rate)
        found += [each["score"] for each in scores]
    return np.array(found)


def agreements(utterances, true: np.ndarray, scores: np.ndarray) -> dict[str, dict]:
    """Returns agreement by group, by enhancer and over all."""
    members: dict[str, list[int]] = {}
    for number, u in enumerate(utterances):
        names = ["all", u.group] + (["noisy and enhanced"] if u.group != "clean" else [])
        for name in names + ([u.system] if u.group == "enhanced" else []):
            members.setdefault(name, []).append(number)
    return {name: _group(true[numbers], scores[numbers]) for name, numbers in members.items()}


def _group(true: np.ndarray, scores: np.ndarray) -> dict:
    facts = {"n": len(true), "error": float(np.mean(scores - true))}
    for measure in ("lcc", "srcc", "mse"):
        value = agreement(measure, true, scores)
        limits = bootstrap.interval(lambda n, m=measure: agreement(m, true[n], scores[n]), len(true))
        if np.isfinite(value) and limits:
            facts |= {measure: value, f"{measure}_low": limits[0], f"{measure}_high": limits[1]}
    return facts


def weaknesses(model, utterances) -> dict[str, list[float]]:
    """Returns how scores change when files are changed in ways that the true score hardly feels."""
    rate = model.front_end.sample_rate
    waveforms = [read(u, model) for u in utterances]
    quiet = np.zeros(int(SECONDS_OF_SILENCE * rate), np.float32)
    changes = {
        "2 s of digital silence in front": lambda w: np.concatenate([quiet, w]),
        "one full-scale click": _clicked,
        "halves exchanged": lambda w: np.roll(w, len(w) // 2),
        "reversed in time": lambda w: w[::-1].copy(),
        "20 dB quieter": lambda w: 0.1 * w,
    }
    before = predicted(model, [lambda w=w: w for w in waveforms])
    found = {}
    for name, change in changes.items():
        differences = predicted(model, [lambda w=w, change=change: change(w) for w in waveforms]) - before
        found[name] = [float(differences.mean()), float(differences[np.argmax(np.abs(differences))])]
    return found


def _clicked(waveform: np.ndarray) -> np.ndarray:
    clicked = waveform.copy()
    clicked[len(clicked) // 2] = 1.0
    return clicked


@click.command(help=__doc__.partition("\n")[0])
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("name")
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="Scored test files.")
@click.option("--tested-on", required=True, help="What these files are, for the card.")
@click.option("--data", required=True, help="What it was trained on: sources and their licences.")
@click.option("--licence", required=True, help="Under which conditions the model may be used.")
@click.option("--summary", default="", help="One sentence on what the model is.")
@click.option("--distance", default="", help="How far it is from the published number, and why.")
@click.option("--command", required=True, help="The exact command that trained it.")
@click.option("--folder", type=click.Path(path_type=Path), default=add_pretrained.FOLDER)
def main(run, name, manifest, tested_on, data, licence, summary, distance, command, folder):
    """Adds the model."""
    model = registry.load_model(run / "model.keras")
    utterances = Manifest.read(manifest).split("test")
    true = np.array([u.score for u in utterances])
    scores = predicted(model, [lambda u=u: read(u, model) for u in utterances])
    lines = [{TRUE: t, PREDICTED: p} for t, p in zip(true.tolist(), scores.tolist(), strict=True)]
    noisy = [u for u in utterances if u.group == "noisy"]
    chosen = noisy[:: max(1, len(noisy) // CHANGED)][:CHANGED]
    settings = dict(stored.read(run).config)
    target = folder / f"{name}.keras"
    shutil.copyfile(run / "model.keras", target)
    entry = {
        "file": target.name,
        "sha256": registry.sha256(target),
        "summary": summary,
        "recipe": settings["paper"],
        "variant": settings["variant"],
        "seed": settings["seed"],
        "epochs": settings["epochs"],
        "command": command,
        "data": data,
        "licence": licence,
        "target": settings["target"],
        "tested_on": tested_on,
        "distance": distance,
        "range": list(model.information["range"]),
        "keras": metadata.version("keras"),
        "keras_segan": _version.__version__,
        "output": registry.output_slice(model),
        "files_changed": len(chosen),
        "calibration": [[r["from"], float(r["n"]), r["true"], r["predicted"]] for r in calibration(lines)],
        "weaknesses": weaknesses(model, chosen),
        "agreement": agreements(utterances, true, scores),
    }
    file = folder / registry.REGISTRY
    content = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    content[name] = entry
    file.write_text(add_pretrained.toml(dict(sorted(content.items()))), encoding="utf-8")
    model_cards.write(folder)
    for group, facts in entry["agreement"].items():
        correlation = facts.get("lcc", float("nan"))
        click.echo(f"{group:20} n {facts['n']:4d}  LCC {correlation:.3f}  error {facts['error']:+.2f}")


if __name__ == "__main__":
    main()
