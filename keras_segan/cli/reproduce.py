"""`kseg reproduce`."""

import json

import click

from keras_segan.cli import options
from keras_segan.errors import KsegError
from keras_segan.reproduction import recipe, settings


def complete_paper(context, parameter, incomplete: str) -> list[str]:
    """Offers the papers to the shell."""
    return [name for name in recipe.names() if name.startswith(incomplete)]


def complete_variant(context, parameter, incomplete: str) -> list[str]:
    """Offers the variants of the paper that was named."""
    # While a line is completed click leaves the words before an unfinished option unparsed.
    words = [context.params.get("paper") or "", *context.args]
    names = [name for word in words for name in recipe.variant_names(word)]
    return [name for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("paper", required=False, shell_complete=complete_paper)
@click.option("--list", "list_papers", is_flag=True, help="List the papers and stop.")
@click.option(
    "--metric",
    help="Target: pesq, stoi, a registered metric or module:function@lo..hi; several with commas.",
    shell_complete=options.complete_metrics,
)
@click.option(
    "--model", help="Which of the paper's systems to train, where it has several (shah: v-gan, dnn...)."
)
@click.option("--all", "every_model", is_flag=True, help="Train all of the paper's systems: --model all.")
@click.option(
    "--data", type=click.Path(), help="Folder or manifest of a corpus; the bundled mini corpus if left out."
)
@click.option(
    "--variant",
    help="code, mini or a name of the recipe's; chosen by the corpus if left out.",
    shell_complete=complete_variant,
)
@click.option("--out", type=click.Path(), help="Run folder; runs/PAPER-VARIANT-METRIC if left out.")
@click.option("--seed", type=click.IntRange(0, settings.LARGEST_SEED), help="Seed of weights and order.")
@click.option("--epochs", type=click.IntRange(min=1), help="Number of epochs.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Utterances of one training step, for a GPU; a deviation where the paper has 1.",
)
@click.option("--causal", is_flag=True, help="A generator that looks at no later frame.")
@click.option(
    "--select",
    type=click.Choice(["validation", "test"]),
    help="Which set chooses the weights; the table says so.",
)
@click.option("--step", help="Which of the paper's steps to train, where it has several (qnet).")
@options.jobs
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--stop-after",
    type=options.Duration(),
    help="Stop cleanly after so long, such as 30m or 2h; --resume goes on.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the variant.")
@click.option("--settings", "list_settings", is_flag=True, help="List the settings and stop.")
@click.option("--json", "as_json", is_flag=True, help="With --settings: as JSON.")
@click.option("--plot", is_flag=True, help="Draw spectrograms of some test utterances into the report.")
@click.option("--dry-run", is_flag=True, help="Print the plan with estimated time and disk space, and stop.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def command(context, paper, list_papers, list_settings, as_json, dry_run, **given):
    """Reproduce PAPER: prepare data, train, evaluate, and print published beside reproduced.

    \b
    kseg reproduce metricgan --metric pesq                 the bundled mini corpus
    kseg reproduce metricgan --metric pesq --data FOLDER   a corpus of yours
    kseg reproduce metricgan --settings                    what can be set, and where it comes from
    """
    if list_papers:
        click.echo("\n".join(_summaries()))
        return
    if paper is None:
        raise click.UsageError("Name a paper; 'kseg reproduce --list' shows them.")
    if as_json and not list_settings:
        raise click.UsageError("--json goes with --settings.")
    options.import_keras()
    from keras_segan.reproduction import run

    request = _request(run, paper, given)
    if list_settings:
        click.echo(_listed(run.look_up(request).settings, as_json))
    elif dry_run:
        click.echo(run.plan(request))
    else:
        click.echo(run.reproduce(request).text)


def _summaries() -> list[str]:
    """Returns a line for each paper; one that somebody else's package brings may not be loadable."""
    width, lines = max(map(len, recipe.names())), []
    for name in recipe.names():
        try:
            with options.quiet_console():
                summary = recipe.summary(name)
        except KsegError as error:
            summary = f"({error})"
        lines.append(f"{name:{width}} {summary}")
    return lines


# Options that are short for --set of the setting of that name.
SHORT = ("metric", "model", "seed", "epochs", "batch_size", "causal", "select", "step")


def _request(run, paper: str, given: dict):
    """Puts a request together out of the options."""
    if given["every_model"]:
        if given["model"] not in (None, "all"):
            raise click.UsageError("--all trains every model; leave out --model.")
        given["model"] = "all"
    named = {key: given[key] for key in SHORT if given[key] not in (None, False)}
    return run.Request(
        paper=paper,
        changes={**options.settings(given["changes"]), **named},
        **{key: given[key] for key in ("data", "variant", "out", "jobs", "resume", "quiet", "plot")},
        stop_after=given["stop_after"],
    )


def _listed(values: settings.BaseSettings, as_json: bool) -> str:
    """Lists settings as text or JSON."""
    entries = settings.listed(values)
    if as_json:
        return json.dumps(entries, indent=2)
    rows = [
        (entry["name"], f"{settings.as_text(entry['value'])} {entry['unit']}".strip(), _about(entry))
        for entry in entries
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {about}" for name, value, about in rows)


def _about(entry: dict) -> str:
    choices = f" ({', '.join(map(str, entry['choices']))})" if entry["choices"] else ""
    source = f" [{entry['source']}]" if entry["source"] else ""
    return f"{entry['meaning']}{choices}{source}"
