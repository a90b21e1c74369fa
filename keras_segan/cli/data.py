"""`kseg data`."""

import functools
import json
from collections import Counter
from pathlib import Path

import click

from keras_segan.cli import options
from keras_segan.data.manifest import COLUMNS, SPLITS, Manifest
from keras_segan.errors import DataError
from keras_segan.files import printable

FOLDER = click.Path(path_type=Path)
MAX_SHOWN = 20  # conditions or problems on the screen; --json has them all

quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
scale = click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    help="Factor that undoes the attenuation of the noisy files; found from the data if left out.",
)
output = click.option("-o", "--output", type=FOLDER, help="Manifest to write; printed if left out.")
force = click.option("--force", is_flag=True, help="Replace what an earlier call wrote.")


def _folders_of(split: str):
    return click.option(
        f"--{split}",
        nargs=2,
        multiple=True,
        type=FOLDER,
        metavar="CLEAN NOISY",
        help=f"Folders of the {split} split; repeatable.",
    )


@click.group()
def command():
    """Scan, check, prepare and mix corpora.

    DIR is a manifest.csv, or a folder laid out as VoiceBank-DEMAND, as MetricGAN's TIMIT data, or with
    train|validation|test/{clean,noisy} in it.
    """


@command.command(short_help="Pair folders by name and write a manifest.")
@click.argument("clean", type=FOLDER, required=False)
@click.argument("noisy", type=FOLDER, required=False)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="train",
    show_default=True,
    help="Split of CLEAN and NOISY.",
)
@_folders_of("train")
@_folders_of("validation")
@_folders_of("test")
@click.option("--ignore-unpaired", is_flag=True, help="Pass over files without a partner.")
@output
@force
def scan(clean, noisy, split, ignore_unpaired, output, force, **folders):
    """Pair the files of folders by name and write a manifest.

    \b
    kseg data scan CLEAN NOISY --split test -o test.csv
    kseg data scan --train CLEAN NOISY --test CLEAN NOISY -o corpus.csv
    """
    from keras_segan.data import corpora

    if (clean is None) != (noisy is None):
        raise click.UsageError("Name two folders, CLEAN and NOISY.")
    given = [(split, clean, noisy)] if clean else []
    given += [(name, *pair) for name in SPLITS for pair in folders[name]]
    if not given:
        raise click.UsageError(
            "Name two folders, CLEAN and NOISY, or --train and --test with two folders each."
        )
    _write(corpora.scan_splits(given, ignore_unpaired), output, force)


@command.command(short_help="Join manifests, such as those of train and test.")
@click.argument("manifests", nargs=-1, required=True, type=FOLDER, metavar="DIR...")
@output
@force
def join(manifests, output, force):
    """Join manifests or folders of known layout into one manifest.

    \b
    kseg data join train.csv test.csv -o corpus.csv
    """
    from keras_segan.data import corpora
    from keras_segan.data.manifest import joined

    _write(joined(corpora.load(path) for path in manifests), output, force)


def _write(manifest: Manifest, output: Path | None, force: bool):
    """Writes a manifest, or prints it; replaces another one only if asked to."""
    from keras_segan import files

    if output in (None, Path("-")):
        click.echo(files.table_text(COLUMNS, manifest.rows()).encode(errors="surrogateescape"), nl=False)
    else:
        if not _is_same(manifest, output):
            files.check_replaceable(output, force, is_ours=_is_manifest)
            manifest.write(output)
        click.echo(output)
    click.echo(f"{len(manifest)} pairs.", err=True)


def _is_same(manifest: Manifest, path: Path) -> bool:
    try:
        return path.is_file() and Manifest.read(path).rows() == manifest.rows()
    except DataError:
        return False


def _is_manifest(path: Path) -> bool:
    """Says whether a file is empty or a manifest that can be read: nothing else is replaced."""
    from keras_segan import files

    if not path.is_file():
        return False
    try:
        return path.stat().st_size == 0 or bool(next(files.read_table(path, ("id", "clean", "noisy"))))
    except DataError:
        return False


@command.command(short_help="Say what a corpus is and whether it is sound.")
@click.argument("directory", metavar="DIR", type=FOLDER)
@scale
@options.jobs
@click.option("--no-metrics", is_flag=True, help="Do not recompute the noisy row.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@quiet
@click.pass_context
def check(context, directory, scale, jobs, no_metrics, as_json, quiet):
    """Say which corpus DIR is, whether it is complete and sound, and recompute its noisy row.

    Exit code 1 if a file is bad or the noisy row of a complete corpus is not the published one.
    """
    from keras_segan.data import corpora

    manifest, unpaired = corpora.recognise(directory, scale)
    problems = [corpora.Problem(file, "has no partner; add the other file or remove it") for file in unpaired]
    problems += corpora.verify(manifest, jobs)
    complete, sentence = corpora.completeness(manifest)
    rows, remark = ([], "") if no_metrics else _noisy_row(manifest, jobs, quiet)
    found = {
        "corpus": manifest.corpus,
        "complete": complete,
        "completeness": sentence,
        "scales": sorted({u.scale for u in manifest.utterances}),
        "counts": counts(manifest),
        "problems": [{"file": printable(p.file), "problem": p.problem} for p in problems if not p.is_note],
        "notes": [{"file": printable(p.file), "note": p.problem} for p in problems if p.is_note],
        "noisy_row": rows,
        "noisy_row_remark": remark,
    }
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(_lines(found)))
    if found["problems"] or any(row["verdict"] == "no match" for row in rows):
        context.exit(1)


def _noisy_row(manifest: Manifest, jobs: int, quiet: bool) -> tuple[list[dict], str]:
    """Recomputes the noisy row; returns its lines, or none and the reason."""
    from tqdm import tqdm

    from keras_segan.data.corpora import CORPORA
    from keras_segan.evaluation import check_noisy_row

    corpus = CORPORA.get(manifest.corpus)
    if not corpus or not corpus.noisy_row:
        return [], "No noisy row is published for this corpus."
    if not manifest.split("test"):
        return [], "The published noisy row is that of the test set, of which nothing is here."
    bar = functools.partial(tqdm, desc="Scoring", unit="file", disable=quiet or None, leave=False)
    try:
        return check_noisy_row(manifest, corpus.noisy_row, jobs, progress=bar), ""
    except DataError as error:
        return [], str(error)


def counts(manifest: Manifest) -> dict[str, dict]:
    """Counts the pairs of each split, and in it of each speaker, noise and SNR that is known."""
    result = {}
    for split in SPLITS:
        members = manifest.split(split)
        if members:
            snrs = sorted(u.snr for u in members if u.snr is not None)
            result[split] = {
                "pairs": len(members),
                "speaker": dict(Counter(u.speaker for u in members if u.speaker)),
                "noise": dict(sorted(Counter(u.noise for u in members if u.noise).items())),
                "snr": {f"{snr:g}": count for snr, count in Counter(snrs).items()},
            }
    return result


def _lines(found: dict) -> list[str]:
    """Formats what `check` found, for people."""
    from keras_segan.data.corpora import CORPORA

    corpus = CORPORA.get(found["corpus"])
    lines = [f"Corpus: {corpus.title if corpus else 'unknown'} ({found['corpus']})"]
    for split, count in found["counts"].items():
        lines.append(f"{split}: {count['pairs']} pairs")
        for condition in ("speaker", "noise", "snr"):
            if count[condition]:
                lines.append(f"  {condition}: {_shortened(count[condition])}")
    if found["scales"] != [1.0]:
        factors = ", ".join(f"{factor:g}" for factor in found["scales"])
        lines.append(f"The noisy files are attenuated; they are multiplied by {factors} after reading.")
    lines.append(found["completeness"])
    lines += _problem_lines(found)
    return lines + _noisy_row_lines(found["noisy_row"], found["noisy_row_remark"])


def _noisy_row_lines(rows: list[dict], remark: str) -> list[str]:
    if not rows:
        return [remark] if remark else []
    lines = [f"{'noisy row':12} {'published':>9} {'here':>9}  {'95 % interval':18} {'n':>5}  verdict"]
    for row in rows:
        interval = f"{row['low']:.3f} .. {row['high']:.3f}"
        numbers = f"{row['published']:9g} {row['ours']:9.3f}  {interval:18} {row['n']:5d}"
        lines.append(f"{row['definition']:12} {numbers}  {row['verdict']}")
    outside = [row["definition"] for row in rows if not row["low"] <= row["published"] <= row["high"]]
    if any(row["verdict"].startswith("incomplete") for row in rows):
        where = f"outside for {', '.join(outside)}" if outside else "inside for all"
        lines.append(f"Published value against our 95 % interval: {where}.")
    failures = len(rows[0]["failures"])
    return lines + ([f"{failures} files could not be scored."] if failures else [])


def _shortened(count: dict[str, int]) -> str:
    shown = [f"{name} {number}" for name, number in list(count.items())[:MAX_SHOWN]]
    more = len(count) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _problem_lines(found: dict) -> list[str]:
    lines = [
        f"{number} files: {note}." for note, number in Counter(n["note"] for n in found["notes"]).items()
    ]
    problems = found["problems"]
    lines += [f"{p['file']}: {p['problem']}." for p in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"... and {len(problems) - MAX_SHOWN} more; --json lists them all.")
    return [*lines, f"{len(problems)} problems." if problems else "No problems found."]


@command.command(short_help="Copy a corpus at 16 kHz with a manifest.")
@click.argument("directory", metavar="DIR", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder for the copy.")
@scale
@options.jobs
@force
@quiet
def prepare(directory, out, scale, jobs, force, quiet):
    """Copy a corpus as 16 kHz, 16-bit WAV files with a manifest; earlier pairs stay listed."""
    from keras_segan.data import corpora
    from keras_segan.data.folders import CorpusFolder

    manifest = corpora.load(directory, scale)
    folder = CorpusFolder(out, force)
    with _bar("Copying", len(manifest), quiet) as bar:
        copied = corpora.prepare(manifest, folder, jobs, bar.update)
    _done(folder, f"{len(copied)} pairs.")


def _done(folder, sentence: str):
    """Says where the manifest is and what it lists."""
    click.echo(folder.manifest_file)
    if folder.kept:
        sentence += f" The manifest lists {folder.kept} pairs of earlier calls, too."
    click.echo(sentence, err=True)


@command.command(short_help="Mix speech with noise.")
@click.option("--speech", type=FOLDER, required=True, help="Folder of clean speech.")
@click.option("--noise", type=FOLDER, required=True, help="Folder of noises.")
@click.option(
    "--snr", "snrs", type=float, multiple=True, default=(0.0,), show_default=True, help="In dB; repeatable."
)
@click.option(
    "--magnification",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Noises per utterance, at each SNR and speed.",
)
@click.option(
    "--speed",
    "speeds",
    type=float,
    multiple=True,
    default=(1.0,),
    show_default=True,
    help="Play the speech faster by this factor (0.1 to 10); repeatable.",
)
@click.option("--all-noises", is_flag=True, help="Mix every utterance with every noise instead.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--out", type=FOLDER, required=True, help="Folder for the corpus.")
@force
@quiet
def mix(speech, noise, snrs, magnification, speeds, all_noises, seed, split, out, force, quiet):
    """Mix speech with noise by the rules of sednn; the same call gives the same files.

    Every utterance is mixed with randomly drawn noises at every SNR (ratio of RMS values) and,
    if there are several, at every speed, which makes other voices of the same speech. Speech, noise and
    mixture are scaled together to a peak of 1. A noise shorter than the utterance is repeated. Pairs that an
    earlier call mixed into the same folder, such as those of another split, stay listed.
    """
    from keras_segan.data import mixing
    from keras_segan.data.folders import CorpusFolder

    magnification = None if all_noises else magnification
    total = mixing.Mixer.of_folders(speech, noise).count(snrs, magnification, speeds)
    folder = CorpusFolder(out, force)
    with _bar("Mixing", total, quiet) as bar:
        manifest = mixing.mix_folders(
            speech, noise, folder, snrs, magnification, seed, split, bar.update, speeds
        )
    _done(folder, f"{len(manifest)} mixtures.")


@command.command(short_help="Write the bundled mini corpus.")
@click.argument("out", type=FOLDER)
def mini(out):
    """Write the bundled mini corpus: synthetic, for trying things out, its scores not comparable."""
    from keras_segan.data import mini as corpus

    manifest = corpus.prepare(out)
    click.echo(out / "manifest.csv")
    click.echo(f"{len(manifest)} pairs, synthetic: scores are not comparable with any paper.", err=True)


def _bar(title: str, total: int, quiet: bool):
    from tqdm import tqdm

    return tqdm(desc=title, total=total, unit="pair", disable=quiet or None, leave=False)
