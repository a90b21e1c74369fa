"""`kseg report`."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The HTML file; RUN/report/index.html if left out."
)
def command(run, out):
    """Write one HTML page of RUN: tables, claims, curves, and examples with spectrograms and sound."""
    from keras_segan.reproduction import page

    out = out or run / "report" / "index.html"
    for note in page.write(run, out):
        click.echo(f"Note: {note}", err=True)
    click.echo(out)
