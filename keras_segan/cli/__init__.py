"""The command line: `kseg COMMAND`. Commands are imported when they are called."""

import errno
import importlib
import os
import signal
import sys

import click

from keras_segan._version import __version__
from keras_segan.errors import KsegError, UsageError, unknown
from keras_segan.files import printable

COMMANDS = {
    "reproduce": "Reproduce a paper: data, training, evaluation, table.",
    "enhance": "Enhance audio files with a trained model.",
    "report": "Write an HTML page of a run: tables, curves, sound.",
    "evaluate": "Score enhanced files against clean ones.",
    "data": "Scan, check, prepare and mix corpora.",
    "models": "List, inspect and verify models.",
    "convert": "Convert weights of the original programs (Keras 2, torch).",
    "export": "Export a model's network to ONNX, LiteRT or TensorFlow.",
    "selftest": "Check that this installation scores correctly.",
}
FAILURE, WRONG_USE, INTERRUPTED = 1, 2, 130  # exit codes
_REMEDIES = {
    errno.ENOSPC: "make room on the disk of the output, or of the folder for temporary files (TMPDIR)",
    errno.EFBIG: "the file system or a limit allows no larger file; choose another place",
    errno.EPIPE: "the program that reads the output ended",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}


class LazyGroup(click.Group):
    """Finds commands by name and imports `keras_segan.cli.<name>` only when one is called."""

    def list_commands(self, context):
        return list(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"keras_segan.cli.{name}").command

    def resolve_command(self, context, arguments):
        if arguments and arguments[0] not in COMMANDS:
            context.fail(unknown("command", arguments[0], COMMANDS))
        return super().resolve_command(context, arguments)

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "KSEG"}
)
@click.version_option(__version__, prog_name="kseg")
@click.option("-v", "--verbose", is_flag=True, help="Show messages of TensorFlow and tracebacks.")
@click.pass_context
def group(context, verbose):
    """Classic GAN and DNN speech-enhancement papers, reproduced faithfully in Keras 3.

    Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 failure, 2 wrong use,
    130 interrupted.
    """
    context.obj = {"verbose": verbose}
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments=None):
    """Runs the command line and exits."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is no reason to lose a result.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = run(arguments)
    try:
        sys.stdout.flush()
    except OSError:  # the program that reads the output ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _interrupt(*_):
    """Ends a command as Ctrl-C does, so that it cleans up and its workers end."""
    raise KeyboardInterrupt


def run(arguments=None) -> int:
    """Runs the command line.

    Args:
        arguments: List of words, those of the process if `None`.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    verbose = bool({"-v", "--verbose"} & set(words[:1]))
    try:
        return group.main(words, prog_name="kseg", standalone_mode=False) or 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except KsegError as error:
        if verbose:
            raise
        click.echo(f"Error: {printable(error)}", err=True)
        return WRONG_USE if isinstance(error, UsageError) else FAILURE
    except OSError as error:
        if verbose:
            raise
        click.echo(f"Error: {printable(_sentence(error))}", err=True)
        return FAILURE
    except Exception as error:
        if verbose:
            raise
        what = f"{type(error).__name__}: {error}"
        click.echo(
            f"Error: unexpected {printable(what)}; please report it with what kseg -v prints.", err=True
        )
        return FAILURE


def _sentence(error: OSError) -> str:
    """Says what the operating system refused, and of which file if it knows."""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno, "check that this file or folder can be used")
    named = isinstance(error.filename, (str, bytes))
    return f"{os.fsdecode(error.filename)}: {reason}; {remedy}." if named else f"{reason}; {remedy}."
