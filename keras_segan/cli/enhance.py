"""`kseg enhance`."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from keras_segan import files
from keras_segan.cli import options
from keras_segan.errors import KsegError

SHOWN_FROM = 20.0  # seconds of audio from which a file has a progress bar
# Of the bundled ones it improves PESQ most on real test pairs.
DEFAULT_MODEL = "metricgan-stoi"


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="File for one input, else folder; - for standard output.",
)
@click.option(
    "--model",
    shell_complete=options.complete_models,
    default=DEFAULT_MODEL,
    show_default=True,
    help="Pretrained name, .keras or .onnx file, run folder or hf://.",
)
@options.backend
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@click.option(
    "--wet", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Share of the enhanced signal."
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    help="Factor for the input, such as 10 for files that were stored as (clean + noise) / 10.",
)
@click.option(
    "--mask-floor",
    type=click.FloatRange(0, 1),
    help="Smallest value of the mask; default: the model's.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Of the noise that a network such as SEGAN's takes beside the signal; default: the model's.",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Enhance block by block, as a causal model can; - is then raw 16-bit mono at the model's rate.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def command(inputs, out, model, backend, force, wet, scale, mask_floor, seed, stream, quiet):
    """Enhance audio files, all audio files of folders, or standard input (-).

    \b
    kseg enhance noisy.wav -o clean.wav
    kseg enhance recordings/ -o enhanced/ --model NAME
    cat noisy.wav | kseg enhance - -o - --model NAME > clean.wav

    Outputs keep length, sample rate, channels and subtype of their inputs. A file that cannot be
    enhanced is named and does not stop the rest; the exit code is then 1.
    """
    from keras_segan import enhancement

    plan = enhancement.targets(list(inputs), out)
    if stream and (wet != 1 or scale != 1):
        raise click.UsageError("--stream goes with neither --wet nor --scale; mix or scale the signals.")
    enhancer = options.load_enhancer(model, "keras" if stream else backend)
    if mask_floor is not None:
        enhancement.with_mask_floor(enhancer, mask_floor)
    if seed is not None:
        enhancement.with_seed(enhancer, seed)
    failed = list(plan.problems)
    for path, problem in plan.problems.items():
        click.echo(f"Error: {files.printable(path)}: {problem}.", err=True)
    for source, target in plan.files.items():
        clock = Clock(source, quiet)
        try:
            if target != enhancement.STANDARD_STREAM:
                files.check_replaceable(target, force)
            if stream:
                done = _stream(enhancer, source, target, clock)
            else:
                done = enhancement.enhance_file(enhancer, source, target, wet, clock.progress, scale)
        except (KsegError, OSError) as error:
            clock.end()
            click.echo(f"Error: {_with_name(source, error)}", err=True)
            failed.append(source)
            continue
        clock.end()
        if not quiet and done is not None:
            click.echo(_sentence(done, clock), err=True)
    if failed:
        listed = ", ".join(map(files.printable, failed))
        click.echo(
            f"{len(failed)} of {len(plan.files) + len(plan.problems)} files were not enhanced: {listed}",
            err=True,
        )
        raise click.exceptions.Exit(1)


def _stream(enhancer, source: Path, target: Path, clock: "Clock"):
    from keras_segan import streaming

    if Path("-") not in (source, target):
        return streaming.enhance_file(enhancer, source, target, clock.progress)
    if source != target:
        raise click.UsageError("With --stream either both input and output are -, or none.")
    streaming.enhance_raw(enhancer, sys.stdin.buffer, sys.stdout.buffer)
    return None


class Clock:
    """Measures the real-time factor of a file and shows how a long one advances.

    Args:
        source: The file.
        quiet: Whether to show nothing.
    """

    def __init__(self, source: Path, quiet: bool):
        self.source = source
        self.quiet = quiet
        self.start = time.perf_counter()
        self.bar: Any = None  # of tqdm

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.start

    def progress(self, done: float, total: float):
        """Moves the bar to `done` of `total` seconds of audio."""
        if self.quiet or total < SHOWN_FROM:
            return
        if self.bar is None:
            from tqdm import tqdm

            line = "{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}, {remaining} left{postfix}]"
            self.bar = tqdm(
                total=total,
                desc=files.printable(self.source.name),
                file=sys.stderr,
                disable=None,
                bar_format=line,
                leave=False,
            )
        self.bar.set_postfix_str(f"real-time factor {self.elapsed() / done:.3f}", refresh=False)
        self.bar.update(done - self.bar.n)

    def end(self):
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()


def _with_name(source: Path, error: Exception) -> str:
    message = files.printable(f"{error.strerror or error}" if isinstance(error, OSError) else f"{error}")
    name = files.printable(source)
    return message if name in message or source == Path("-") else f"{name}: {message}"


def _sentence(done, clock: Clock) -> str:
    facts = [f"{done.seconds:.1f} s", f"real-time factor {clock.elapsed() / done.seconds:.3f}"]
    if done.gain < 1:
        facts.append(f"gain {done.gain:.3f} to avoid clipping")
    if done.silent:
        facts.append("silent")
    if done.note:
        facts.append(done.note)
    return f"{files.printable(done.source)} -> {files.printable(done.target)} ({', '.join(facts)})"
