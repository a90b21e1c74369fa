"""`kseg report`."""

from pathlib import Path

import click

from keras_segan.cli import options


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The HTML file; RUN/report/index.html if left out."
)
def command(run, out):
    """Write one HTML page of RUN: tables, curves, and spectrograms and sound of three utterances."""
    from keras_segan import page

    out = out or run / "report" / "index.html"
    if run.is_dir():
        out.parent.mkdir(parents=True, exist_ok=True)
    for note in page.write(run, out, lambda path: options.load_enhancer(str(path))):
        click.echo(f"Note: {note}", err=True)
    click.echo(out)
