"""`kseg models`."""

import json

import click

from keras_segan.cli import options


@click.group()
def command():
    """List and inspect models."""


@command.command("list")
def list_models():
    """List the pretrained models."""
    options.import_keras()
    from keras_segan.models import registry

    names = registry.list_models()
    for name in names:
        click.echo(name)
    if not names:
        click.echo("No pretrained models yet; train one with kseg reproduce.", err=True)


@command.command("info")
@click.argument("model")
def info(model):
    """Show what MODEL (a name, .keras file or run folder) is."""
    options.import_keras()
    from keras_segan.models import registry

    enhancer = registry.load_model(model)
    facts = {
        **enhancer.information,
        "parameters": enhancer.network.count_params(),
        "front_end": {"class": type(enhancer.front_end).__name__, **enhancer.front_end.get_config()},
    }
    click.echo(json.dumps(facts, indent=2))
