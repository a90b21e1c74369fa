"""`kseg enhance`."""

import time
from pathlib import Path

import click

from keras_segan.cli import options
from keras_segan.errors import AudioError


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="File for one input, else folder."
)
@click.option("--model", required=True, help="Pretrained name, .keras file or run folder.")
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
def command(inputs, out, model, force):
    """Enhance audio files, or all audio files of folders.

    Outputs keep length, sample rate, channels and subtype of their inputs. A file that cannot be
    enhanced is named and does not stop the rest; the exit code is then 1.
    """
    options.import_keras()
    from keras_segan import enhancement
    from keras_segan.models.registry import load_model

    named = enhancement.targets(list(inputs), out)
    enhancer = load_model(model)
    failed = 0
    for source, target in named.items():
        if target.exists() and not force:
            click.echo(f"Error: {target}: exists already; use --force to overwrite it.", err=True)
            failed += 1
            continue
        start = time.perf_counter()
        try:
            done = enhancement.enhance_file(enhancer, source, target)
        except (AudioError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            failed += 1
            continue
        factor = (time.perf_counter() - start) / done.seconds
        gain = f", gain {done.gain:.3f} to avoid clipping" if done.gain < 1 else ""
        click.echo(
            f"{source} -> {target} ({done.seconds:.1f} s, real-time factor {factor:.3f}{gain})", err=True
        )
    if failed:
        click.echo(f"{failed} of {len(named)} files were not enhanced.", err=True)
        raise click.exceptions.Exit(1)
