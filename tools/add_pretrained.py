"""Adds a trained model to `pretrained/`: scores it, refuses it if it does not help, registers it.

    python tools/add_pretrained.py RUN NAME --manifest M.csv --tested-on TEXT --data TEXT --licence TEXT

RUN is a folder that `kseg reproduce` made. The model is scored on the manifest's test pairs, enhanced as
`kseg enhance` does it. It is added only if the lower end of the paired 95 % interval of its improvement over
the noisy files lies above zero for its target metric. Then come: the `.keras` file, its ONNX twin, samples of
its output, the entry in `registry.toml`, the card.
"""

import contextlib
import dataclasses
import functools
import json
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import click
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent))

import model_cards

from keras_segan import _version, comparison, evaluation, export, metrics
from keras_segan.data.manifest import Manifest
from keras_segan.errors import KsegError, ModelError
from keras_segan.models import registry
from keras_segan.reproduction import recipe, stored
from keras_segan.reproduction.settings import as_text

FOLDER = Path(__file__).parents[1] / "pretrained"
LARGEST = 60_000_000  # bytes of a file
progress = functools.partial(tqdm, disable=None)  # a log file has no bars
SHOWN = ("pesq-wb-lqo", "stoi", "csig", "cbak", "covl", "ssnr")


def evaluate(model, manifest: Manifest, names: tuple[str, ...], jobs: int) -> evaluation.Evaluation:
    """Enhances and scores the test pairs of a manifest.

    Args:
        model: The enhancer.
        manifest: Its test pairs are taken, all pairs if it has none.
        names: Metrics.
        jobs: Worker processes.

    Returns:
        Scores of enhanced and noisy files.
    """
    utterances = manifest.split("test") or manifest.utterances
    rate = comparison.scoring_rate(model)
    scoring = evaluation.Scoring(names, rate, jobs=jobs)
    return comparison.evaluate(model, utterances, scoring, progress)


def show_improvement(result: evaluation.Evaluation):
    """Prints how each metric changes."""
    for metric, change in result.improvement().items():
        click.echo(
            f"{metric:14} {change.mean:+.4f} ({change.low:+.4f} .. {change.high:+.4f}), n = {change.n}"
        )


def require_improvement(result: evaluation.Evaluation, target: str):
    """Raises `ModelError` if the model does not beat the noisy input on its target metric."""
    if result.failed:
        failures = [f"{row.pair.id}: {row.failures[0]}" for row in result.failed]
        raise ModelError(f"{len(failures)} pairs could not be scored; the first: {failures[0]}")
    change = result.improvement()[target]
    sign = 1.0 if metrics.get(target).higher_is_better else -1.0
    if not min(sign * change.low, sign * change.high) > 0:
        raise ModelError(
            f"Not added: {target} changes by {change.mean:+.4f}"
            f" ({change.low:+.4f} .. {change.high:+.4f}, 95 %) against the noisy input on {change.n}"
            " utterances; what does not beat it is not shipped."
        )


def scores(result: evaluation.Evaluation, published: dict[str, float | None]) -> dict[str, dict]:
    """Returns the registry's `scores`; `published` holds the paper's numbers for such data by definition."""
    enhanced, noisy, change = result.summary(), result.noisy_summary(), result.improvement()
    return {
        name: {
            "mean": summary.mean,
            "low": summary.low,
            "high": summary.high,
            "noisy": noisy[name].mean,
            "gain": change[name].mean,
            "gain_low": change[name].low,
            "gain_high": change[name].high,
            "n": summary.n,
            **({"published": published[name]} if published.get(name) is not None else {}),
        }
        for name, summary in enhanced.items()
    }


def published(run: stored.StoredRun) -> dict[str, float | None]:
    """Returns the published numbers of a run's first trained system by definition; none that is flagged."""
    system = next(name for name in run.systems if name != "noisy")
    rows = [row for row in run.rows if row.system == system and not row.is_flagged]
    return {row.definition: row.published for row in rows}


def curve(log: Sequence[Mapping[str, str]], target: str) -> dict[str, list[float]]:
    """Returns the target metric on the validation set after each epoch, by definition; none if not logged."""
    values = [row.get(f"validation_{target}") for row in log]
    return {target: [round(float(value), 4) for value in values]} if values and all(values) else {}


def length(settings: dict) -> dict[str, int]:
    """Returns how long a model was trained, in the unit that its recipe counts in."""
    unit = "epochs" if settings.get("epochs") else "iterations"
    return {unit: settings[unit]}


def command_of(settings: dict, data: str) -> str:
    """Returns the command that trains a model again."""
    reference = dataclasses.asdict(recipe.load(settings["paper"]).variants[settings["variant"]])
    words = ["kseg", "reproduce", settings["paper"], "--variant", settings["variant"], "--data", data]
    own = tuple(name for name in ("metric", "model", "seed", "epochs") if name in reference)
    shown = [name for name in own if name in settings and (name != "epochs" or settings[name])]
    words += [word for name in shown for word in (f"--{name}", str(settings[name]))]
    for name, value in reference.items():
        if name not in (*own, "corpus") and json.loads(json.dumps(value)) != settings[name]:
            ours = settings[name]
            words += ["--set", f"{name}={as_text(tuple(ours) if isinstance(ours, list) else ours)}"]
    return " ".join(words)


def toml(content: dict, path: tuple[str, ...] = ()) -> str:
    """Formats nested dictionaries of plain values as TOML."""

    def key(name: str) -> str:
        return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)

    plain = {name: value for name, value in content.items() if not isinstance(value, dict)}
    lines = [f"[{'.'.join(map(key, path))}]"] if path and plain else []
    lines += [f"{key(name)} = {json.dumps(value, ensure_ascii=False)}" for name, value in plain.items()]
    parts = ["\n".join(lines)] if lines else []
    parts += [
        toml(value, (*path, name)) for name, value in content.items() if isinstance(value, dict) and value
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


@contextlib.contextmanager
def with_levels(source: Path, levels: tuple[float, float] | None):
    """Gives the path of a model whose front end says which levels of the input the network knows."""
    if levels is None:
        yield source
        return
    model = registry.load_model(source)
    if not hasattr(model.front_end, "levels"):
        raise ModelError(f"{source}: a {type(model.front_end).__name__} cannot say levels.")
    model.front_end.levels = list(levels)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / source.name)
        yield Path(folder) / source.name


def add(folder: Path, name: str, source: Path, facts: dict, twin: bool) -> registry.Entry:
    """Puts a model and its entry into a folder of models.

    Args:
        folder: Of the models.
        name: Of the model.
        source: The `.keras` file.
        facts: The entry without what is found out here: file, checksums, output, versions.
        twin: Whether to export it for ONNX Runtime, too.

    Returns:
        The new entry.
    """
    model = registry.load_model(source)
    if source.stat().st_size > LARGEST:
        raise ModelError(
            f"{source}: {source.stat().st_size / 1e6:.0f} MB; {LARGEST / 1e6:.0f} are the limit."
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.keras"
    shutil.copyfile(source, target)
    entry = {
        "file": target.name,
        "sha256": registry.sha256(target),
        **facts,
        "keras": metadata.version("keras"),
        "keras_segan": _version.__version__,
        "output": registry.output_slice(model),
    }
    if twin:
        exported = target.with_suffix(".onnx")
        parity = export.export(model, exported, "onnx", entry["sha256"])
        entry["onnx"] = {
            "file": exported.name,
            "sha256": registry.sha256(exported),
            "largest_difference": parity.difference,
        }
    file = folder / registry.REGISTRY
    content = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    content[name] = entry
    file.write_text(toml(dict(sorted(content.items()))), encoding="utf-8")
    model_cards.write(folder)
    return registry.entries_of(folder)[name]


@click.command(help=__doc__.partition("\n")[0])
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("name")
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="Test pairs, real ones.")
@click.option("--tested-on", required=True, help="What these pairs are, for the card.")
@click.option("--data", required=True, help="What it was trained on: sources and their licences.")
@click.option("--licence", required=True, help="Under which conditions the model may be used.")
@click.option("--summary", default="", help="One sentence on what the model is.")
@click.option("--distance", default="", help="How far it is from the published number, and why.")
@click.option("--levels", type=(float, float), help="Of the training inputs: lowest and highest, dB RMS.")
@click.option("--target", help="Metric that must improve; that of the run if left out.")
@click.option("--published/--no-published", "same_data", default=True, help="Whether those of the run fit.")
@click.option("--metrics", "names", default=",".join(SHOWN), show_default=True, help="What the card shows.")
@click.option("--file", "file_name", default="model.keras", show_default=True, help="Which model of the run.")
@click.option("--command", "exact_command", help="The exact command; made from config.json if left out.")
@click.option("--data-folder", default="DATA", show_default=True, help="Stands for the data in the command.")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="Folder of the models.")
@click.option("--twin/--no-twin", default=True, help="Whether to make an ONNX twin.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--force", is_flag=True, help="Replace a model of this name.")
def main(
    run, name, manifest, tested_on, data, licence, summary, distance, levels, target, same_data, names,
    file_name, exact_command, data_folder, folder, twin, jobs, force,
):  # fmt: skip
    """Adds the model."""
    try:
        known = registry.entries_of(folder)
        if name in known and not force:
            raise ModelError(f"{name}: is in the registry already; use --force to replace it.")
        read = stored.read(run)
        target = metrics.get(target or read.detail("target", str, "pesq-wb-lqo")).definition
        wanted = tuple(dict.fromkeys([target, *names.split(",")]))
        with with_levels(run / file_name, levels) as source:
            result = evaluate(registry.load_model(source), Manifest.read(manifest), wanted, jobs)
            show_improvement(result)
            require_improvement(result, target)
            settings = dict(read.config)
            facts = {
                "summary": summary,
                "recipe": settings["paper"],
                "variant": settings["variant"],
                "seed": settings["seed"],
                **length(settings),
                "command": exact_command or command_of(settings, data_folder),
                "data": data,
                "licence": licence,
                "target": target,
                "tested_on": tested_on,
                **({"levels": list(levels)} if levels else {}),
                "distance": distance,
                "scores": scores(result, published(read) if same_data else {}),
                "curve": curve(read.log, target),
            }
            entry = add(folder, name, source, facts, twin)
    except KsegError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Added {entry.path} and its card.")


if __name__ == "__main__":
    main()
