"""`kseg reproduce`."""

import click

from keras_segan import recipe
from keras_segan.cli import options


@click.command()
@click.argument("paper", required=False)
@click.option("--list", "list_papers", is_flag=True, help="List the papers and stop.")
@click.option(
    "--metric", help="Target: pesq, stoi, a registered metric or module:function@lo..hi; several with commas."
)
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
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Utterances of one training step, for a GPU; a deviation where the paper has 1.",
)
@click.option("--causal", is_flag=True, help="A generator that looks at no later frame (metricgan_okd).")
@click.option(
    "--select",
    type=click.Choice(["validation", "test"]),
    help="Which set chooses the weights (metricgan_plus, metricgan_okd); test is said in the table.",
)
@options.jobs
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the variant.")
@click.option("--plot", is_flag=True, help="Draw spectrograms of some test utterances into the report.")
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
    batch_size,
    causal,
    select,
    jobs,
    resume,
    changes,
    plot,
    dry_run,
    quiet,
):
    """Reproduce PAPER: prepare data, train, evaluate, and print published beside reproduced.

    \b
    kseg reproduce metricgan --metric pesq                 the bundled mini corpus
    kseg reproduce metricgan --metric pesq --data FOLDER   a corpus of yours
    """
    if list_papers:
        width = max(map(len, recipe.names()))
        for name in recipe.names():
            click.echo(f"{name:{width}} {recipe.summary(name)}")
        return
    if paper is None:
        raise click.UsageError("Name a paper; 'kseg reproduce --list' shows them.")
    options.import_keras()
    from keras_segan import reproduction

    if every_model and model not in (None, "all"):
        raise click.UsageError("--all trains every model; leave out --model.")
    given = {
        "metric": metric,
        "model": "all" if every_model else model,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "causal": causal or None,
        "select": select,
    }
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
        plot=plot,
    )
    if dry_run:
        click.echo(reproduction.plan(request))
        return
    click.echo(reproduction.reproduce(request))
