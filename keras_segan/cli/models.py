"""`kseg models`."""

import importlib.util
import json

import click

from keras_segan.cli import options
from keras_segan.errors import ModelError


@click.group()
def command():
    """List, inspect and verify models."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the registry as JSON.")
def list_models(as_json):
    """List the pretrained models."""
    from keras_segan.models import registry

    known = registry.entries()
    if as_json:
        click.echo(json.dumps({name: entry.facts for name, entry in sorted(known.items())}, indent=2))
        return
    for name in sorted(known):
        click.echo(f"{name:24} {_summary(known[name].facts)}".rstrip())
    if not known:
        click.echo("No pretrained models yet; train one with kseg reproduce.", err=True)


def _summary(facts: dict) -> str:
    score = facts.get("scores", {}).get(facts.get("target"))
    recipe = facts.get("recipe", "")
    if score is None:
        return recipe
    noisy = f" (noisy {score['noisy']:.3f})" if "noisy" in score else ""
    return f"{recipe:12} {facts['target']} {score['mean']:.3f}{noisy}"


@command.command("info")
@click.argument("model", shell_complete=options.complete_models)
def info(model):
    """Show what MODEL (a name, .keras file or run folder) is."""
    from keras_segan.models import registry

    found = registry.find(model)
    options.import_keras()
    enhancer = registry.load(found)
    registered = found.entry.facts if found.entry else {}
    facts = {
        **{name: value for name, value in registered.items() if name != "output"},
        **enhancer.information,
        "parameters": enhancer.network.count_params(),
        "front_end": {"class": type(enhancer.front_end).__name__, **enhancer.front_end.get_config()},
    }
    click.echo(json.dumps(facts, indent=2))


@command.command("verify")
@click.argument("names", nargs=-1, shell_complete=options.complete_models)
def verify(names):
    """Check files and output of pretrained models, of all if no NAMES are given."""
    from keras_segan.models import registry

    known = registry.entries()
    found = [registry.find(name) for name in names or sorted(known)]
    for number, model in enumerate(found):
        if model.entry is None:
            raise ModelError(f"{names[number]}: is in no registry; nothing is recorded of it.")
    options.import_keras()
    failed = [model.entry.name for model in found if not _verified(model)]
    if failed:
        raise ModelError(f"{len(failed)} of {len(found)} models are wrong: {', '.join(failed)}.")
    click.echo(f"All {len(found)} models are as recorded.", err=True)


def _verified(model) -> bool:
    from keras_segan.models import registry

    entry = model.entry
    try:
        entry.check()
        installed = importlib.util.find_spec("onnxruntime") is not None
        backends = ["keras"] + (["onnx"] if entry.twin and installed else [])
        recorded = entry.output()
        differences = {
            backend: registry.output_difference(registry.load(model, backend), recorded)
            for backend in backends
        }
    except ModelError as error:
        click.echo(f"{entry.name}: WRONG, {error}")
        return False
    right = all(difference <= registry.OUTPUT_TOLERANCE for difference in differences.values())
    listed = ", ".join(f"{backend} differs by {value:.1e}" for backend, value in differences.items())
    if entry.twin and not installed:
        listed += ", onnx not run (ONNX Runtime is not installed)"
    click.echo(f"{entry.name}: {'ok' if right else 'WRONG'}, checksum ok, output: {listed}")
    return right
