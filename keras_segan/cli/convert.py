"""`kseg convert`."""

from pathlib import Path

import click

from keras_segan import files
from keras_segan.cli import options
from keras_segan.errors import ModelUsageError

out_option = click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="The .keras file to write."
)
force_option = click.option("--force", is_flag=True, help="Overwrite an existing file.")


@click.group()
def command():
    """Convert weights of the original programs to .keras files.

    Nothing in the files is executed. The converted network is compared with a plain computation from the
    file's own arrays, and the difference is printed.
    """


@command.command("keras2")
@click.argument("file", type=click.Path(path_type=Path))
@out_option
@click.option(
    "--variant",
    type=click.Choice(["table1", "table2"]),
    help="MetricGAN's program: table2 (VoiceBank, the default) or table1 (TIMIT).",
)
@click.option("--scaler", type=click.Path(path_type=Path), help="sednn: .npz file with mean and scale.")
@force_option
def keras2(file, out, variant, scaler, force):
    """Convert an .h5 FILE of Keras 2: MetricGAN's generator, or sednn's network (Xu et al.)."""
    _check(out, force)
    options.import_keras()
    from keras_segan import convert

    _finish(convert.convert_keras2(file, variant, scaler), out)


@command.command("torch")
@click.argument("file", type=click.Path(path_type=Path))
@out_option
@click.option("--key", help="Part of a checkpoint that holds several networks.")
@force_option
def torch(file, out, key, force):
    """Convert a torch FILE: the generator of SpeechBrain's MetricGAN+ or of MetricGAN-OKD."""
    _check(out, force)
    options.import_keras()
    from keras_segan import convert

    _finish(convert.convert_torch(file, key), out)


def _check(out: Path, force: bool):
    if out.suffix != ".keras":
        raise ModelUsageError(f"{out}: name a .keras file.")
    files.check_replaceable(out, force)
    files.check_output(out)


def _finish(conversion, out: Path):
    with files.replacing(out) as temporary:
        conversion.model.save(temporary)
    for sentence in conversion.assumptions:
        click.echo(f"Assumed: {sentence}.", err=True)
    click.echo(
        f"{out}: {conversion.kind}, {conversion.model.network.count_params():,} parameters, largest"
        f" difference from the plain computation {conversion.difference:.1e} on features {conversion.shape}"
    )
