"""`kseg reproduce`."""

import click

from keras_segan import recipe
from keras_segan.cli import options


@click.command()
@click.argument("paper", required=False)
@click.option("--list", "list_papers", is_flag=True, help="List the papers and stop.")
@click.option("--metric", help="Target: pesq, stoi, a registered metric or module:function@lo..hi.")
@click.option(
    "--model", help="Which of the paper's systems to train, where it has several (shah: v-gan, dnn...)."
)
@click.option("--all", "every_model", is_flag=True, help="Train all of the paper's systems: --model all.")
@click.option(
    "--data", type=click.Path(), help="Folder or manifest of a corpus; the bundled mini corpus if left out."
)
@click.option("--variant", help="code, mini or a name of the recipe's; chosen by the corpus if left out.")
@click.option("--out", type=click.Path(), help="Run folder; runs/PAPER-VARIANT-METRIC if left out.")
@click.option("--seed", type=int, help="Seed of weights and order.")
@click.option("--epochs", type=click.IntRange(min=1), help="Number of epochs.")
@options.jobs
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the variant.")
@click.option("--dry-run", is_flag=True, help="Print the plan with estimated time and disk space, and stop.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    paper,
    list_papers,
    metric,
    model,
    every_model,
    data,
    variant,
    out,
    seed,
    epochs,
    jobs,
    resume,
    changes,
    dry_run,
    quiet,
):
    """Reproduce PAPER: prepare data, train, evaluate, and print published beside reproduced.

    \b
    kseg reproduce metricgan --metric pesq                 the bundled mini corpus
    kseg reproduce metricgan --metric pesq --data FOLDER   a corpus of yours
    """
    if list_papers:
        for name in recipe.names():
            click.echo(f"{name:20} {recipe.summary(name)}")
        return
    if paper is None:
        raise click.UsageError("Name a paper; 'kseg reproduce --list' shows them.")
    options.import_keras()
    from keras_segan import reproduction

    if every_model and model not in (None, "all"):
        raise click.UsageError("--all trains every model; leave out --model.")
    given = {"metric": metric, "model": "all" if every_model else model, "seed": seed, "epochs": epochs}
    named = {key: value for key, value in given.items() if value is not None}
    request = reproduction.Request(
        paper=paper,
        data=data,
        variant=variant,
        out=out,
        changes={**options.settings(changes), **named},
        jobs=jobs,
        resume=resume,
        quiet=quiet,
    )
    if dry_run:
        click.echo(reproduction.plan(request))
        return
    click.echo(reproduction.reproduce(request))
