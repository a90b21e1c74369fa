"""`kseg export`."""

from pathlib import Path

import click

from keras_segan.cli import options
from keras_segan.errors import ModelUsageError


@click.command()
@click.argument("model", shell_complete=options.complete_models)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["tf_saved_model", "onnx", "litert"]),
    default="onnx",
    show_default=True,
    help="What to export to.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File or, for a SavedModel, folder.")
@click.option("--force", is_flag=True, help="Overwrite an existing export.")
def command(model, file_format, out, force):
    """Export the network of MODEL (a name, .keras file or run folder) and compare it with Keras.

    The front end stays outside; OUT.json describes it. An .onnx file beside its .keras file is used by
    kseg enhance, which then needs no TensorFlow.
    """
    from keras_segan import inference
    from keras_segan.models import registry

    found = registry.find(model)
    if found.path.suffix != ".keras":
        raise ModelUsageError(f"{found.path}: only .keras files can be exported.")
    suffixes = {"onnx": ".onnx", "litert": ".tflite", "tf_saved_model": ".saved_model"}
    beside = (Path(found.path.name) if found.entry else found.path).with_suffix(suffixes[file_format])
    out = beside if out is None else out
    if out.is_dir() and not inference.is_export(out):
        out = out / beside.name  # the folder of the user's gets the export inside
    inference.check_export(out, file_format, force)
    options.import_keras()
    from keras_segan import export

    enhancer = registry.load(found)
    with options.quiet_console():
        parity = export.export(enhancer, out, file_format, registry.sha256(found.path))
    click.echo(f"{out}: {parity}")
