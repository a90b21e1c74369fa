"""Files: written whole or not at all, read whatever program wrote them, named safely, listed completely.

The one home of what is easy to get wrong with files. Every error names the file that was asked for. Neither
Keras nor an audio library is imported, so that a worker starts fast.
"""

import codecs
import contextlib
import csv
import errno
import hashlib
import io
import itertools
import json
import math
import os
import re
import secrets
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from keras_segan.errors import DataUsageError, FileError

TEMPORARY = ".writing-"  # hidden, so that no listing takes an unfinished file for a finished one
MAX_TEXT = 1 << 28  # characters of a text
MAX_JSON = 1 << 24  # bytes; parsed, JSON may take fifty times as much
MAX_LINE = 1 << 20  # characters of a line in a table
MAX_FOLDERS = 100_000  # in a listing; linked folders can multiply without end
MAX_NAME = 200  # bytes; file systems take 255, of which suffixes and copies need some
SEPARATORS = ",;\t"

_SUFFIX = 16  # characters; a longer one is no suffix but a part of a long name
_DESCRIPTORS = re.compile(r"/proc/(self|\d+)/fd|/dev/fd")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10))}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.+-]{{0,{MAX_NAME - 1}}}")
_KINDS = {"dict": "an object", "list": "a list"}  # of JSON
_REMEDIES = {
    "FileNotFoundError": "check the path",
    "PermissionError": "choose another place or change its permissions",
    "IsADirectoryError": "name a file",
    "FileExistsError": "a part of this path is a file; choose another place",
    "NotADirectoryError": "a part of this path is a file; choose another place",
}


def failure(path: Path | str, error: OSError, action: str = "cannot be written") -> FileError:
    """Returns the error for a file that the operating system refuses.

    Args:
        path: The file that was asked for.
        error: What the operating system said.
        action: What could not be done.

    Returns:
        One sentence with the file and a remedy.
    """
    remedy = _REMEDIES.get(type(error).__name__, "choose another place or make room for it")
    return FileError(f"{printable(path)}: {action} ({error.strerror or error}); {remedy}.")


# Writing


def make_folder(folder: Path | str) -> Path:
    """Creates a folder with its parents.

    Raises:
        FileError: If that is impossible.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise FileError(
            f"{printable(folder)}: cannot create this folder ({_reason(error)}); choose another one."
        ) from error
    return folder


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Gives the name of a new, empty file that takes the place of `path` when the block ends well.

    The file has a name of its own, beside the target and with its suffix, so two processes never share it;
    after an error or an interrupt it is removed and the target is as it was. A link is followed: its target
    is replaced. What is no plain file (a pipe, a device, standard output) is written into and stays.

    Args:
        path: Where the content is to appear; missing folders are made.

    Yields:
        The file to write.

    Raises:
        FileError: If that is impossible; it names `path`, never the temporary file.
    """
    path = Path(path)
    target = _target(path)
    temporary = _new_beside(target or Path(tempfile.gettempdir()) / path.name, path)
    try:
        yield temporary
        _sync(temporary)
        if target is None:
            _pour(temporary, path)
        else:
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    except OSError as error:
        if not _concerns(error, path, temporary):
            raise  # of another file that the block uses
        raise failure(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _concerns(error: OSError, *files: Path) -> bool:
    named = {
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    }
    return not named or bool(named & {str(file) for file in files})


def _target(path: Path) -> Path | None:
    """Returns the plain file that is to be replaced, its folder made; nothing if `path` is written into."""
    try:
        if path.is_dir():
            raise FileError(f"{printable(path)}: is a folder; name a file.")
        if is_written_through(path):
            return None
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_lengths(target.parent, [target.name])  # found here, not after the work
    except OSError as error:
        raise failure(path, error) from error
    except ValueError as error:
        raise FileError(f"{printable(path)}: cannot be written ({error}); choose another name.") from error
    return target


def _new_beside(target: Path, asked: Path) -> Path:
    suffix = target.suffix if len(target.suffix) <= _SUFFIX else ""
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(6)}{suffix}")
    try:
        # Not by `tempfile`: its files are readable for their owner alone, whatever the user's mask says.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise failure(asked, error) from error
    return temporary


def _sync(file: Path):
    with open(file, "rb") as written:
        os.fsync(written.fileno())


def is_written_through(path: Path | str) -> bool:
    """Says whether a path leads to something that must stay: a pipe, a device, an open stream."""
    path = Path(path)
    if not os.path.exists(path) or path.is_dir():
        return False
    return not path.is_file() or _open_stream(path) is not None


def _open_stream(path: Path) -> int | None:
    """Returns the open stream that a path means: /dev/stdout, /dev/fd/3, or the file it is sent to."""
    known = [1, 2]
    place = Path(os.path.abspath(path))
    if place.name.isdigit() and _DESCRIPTORS.fullmatch(os.path.realpath(place.parent)):
        known.append(int(place.name))
    for stream in known:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(stream), os.stat(path)):
                return stream
    return None


def _pour(source: Path, path: Path):
    """Copies a file into something that is no plain file."""
    stream = _open_stream(path)
    sys.stdout.flush()
    # A duplicate goes on where the stream is; opened by name, a redirected standard output would be cut.
    descriptor = os.dup(stream) if stream is not None else os.open(path, os.O_WRONLY)
    with open(source, "rb") as content, open(descriptor, "wb") as sink:
        shutil.copyfileobj(content, sink)


@contextlib.contextmanager
def writing(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file that takes the place of `path` when the block ends well; see `replacing`.

    Args:
        path: Where the content is to appear.
        mode: `"w"` for UTF-8 text with its line ends as they are, `"wb"` for bytes.

    Yields:
        The open file. Bytes of file names that are not UTF-8 are written as they are.

    Raises:
        FileError: As `replacing`.
    """
    encoding, errors, newline = (None,) * 3 if "b" in mode else ("utf-8", "surrogateescape", "")
    with (
        replacing(path) as temporary,
        open(temporary, mode, encoding=encoding, errors=errors, newline=newline) as file,
    ):
        yield file


def write_text(path: Path | str, text: str):
    """Writes a text file, whole or not at all.

    Raises:
        FileError: As `replacing`.
    """
    with writing(path) as file:
        file.write(text)


def write_bytes(path: Path | str, content: bytes):
    """Writes bytes, whole or not at all.

    Raises:
        FileError: As `replacing`.
    """
    with writing(path, "wb") as file:
        file.write(content)


def write_json(path: Path | str, content: Any):
    """Writes JSON with an indent of two, whole or not at all.

    Raises:
        FileError: As `replacing`.
    """
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_table(path: Path | str, columns: Sequence[str], rows: Iterable[Sequence | Mapping[str, Any]]):
    """Writes a CSV file, whole or not at all.

    Args:
        path: The file.
        columns: Its head.
        rows: Cells in the order of the columns, or by column; `None` and missing cells are empty.

    Raises:
        FileError: As `replacing`.
    """
    with writing(path) as file:
        _write_rows(file, columns, rows)


def table_text(columns: Sequence[str], rows: Iterable[Sequence | Mapping[str, Any]]) -> str:
    """Returns what `write_table` writes."""
    text = io.StringIO()
    _write_rows(text, columns, rows)
    return text.getvalue()


def _write_rows(file, columns: Sequence[str], rows: Iterable[Sequence | Mapping[str, Any]]):
    for row in itertools.chain([columns], rows):
        cells = [row.get(column) for column in columns] if isinstance(row, Mapping) else row
        # A single empty cell needs its quotes: an empty line is no row.
        file.write((",".join(map(_cell, cells)) or '""') + "\n")


def _cell(value: Any) -> str:
    """Quotes what must be; `csv.writer` leaves carriage returns and leading blanks as they are."""
    text = _escaped(value) if isinstance(value, str) else "" if value is None else str(value)
    if text.startswith(" ") or any(character in text for character in ',;\t"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text


def _escaped(cell: str) -> str:
    """Puts an apostrophe before text that a spreadsheet would run as a formula; `read_table` takes it off."""
    if not _FORMULA.match(cell) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# What may be written


def check_output(path: Path | str):
    """Finds out before hours of work whether a file can be written; leaves nothing behind.

    Args:
        path: The file; folders that are missing would be made.

    Raises:
        FileError: If it cannot be written.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(f"{printable(path)}: is a folder; name a file.")
        if is_written_through(path):
            return  # opening a pipe would already wake its reader
        target = Path(os.path.realpath(path)) if path.is_symlink() else Path(os.path.abspath(path))
        folder = target.parent
        while not folder.exists():
            folder = folder.parent
        _check_lengths(folder, target.relative_to(folder).parts)
    except OSError as error:
        raise failure(path, error) from error
    except ValueError as error:
        raise FileError(f"{printable(path)}: cannot be written ({error}); choose another name.") from error
    _new_beside(folder / target.name, path).unlink()


def _check_lengths(folder: Path, names: Sequence[str]):
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    for name in names:
        if "\0" in name:
            raise ValueError("embedded null byte")
        if len(os.fsencode(name)) > longest:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def check_replaceable(
    path: Path | str, force: bool = False, is_ours: Callable[[Path], bool] = lambda path: path.is_file()
):
    """Refuses to write over what the command did not make.

    Args:
        path: The output.
        force: Whether the user has asked for replacing it.
        is_ours: Says whether something is what the command itself makes; a plain file if left out. Nothing
            else is ever replaced, a folder of other content least of all.

    Raises:
        DataUsageError: If it exists and may not be replaced.
    """
    path = Path(path)
    shown = printable(path)
    if not os.path.exists(path) or is_written_through(path):
        return
    if not is_ours(path):
        what = "is a folder" if path.is_dir() else "holds something else"
        raise DataUsageError(f"{shown}: {what} and will not be replaced; choose another name.")
    if not force:
        raise DataUsageError(f"{shown}: exists already; use --force to replace it.")


# Reading


def read_text(path: Path | str, most: int = MAX_TEXT) -> str:
    """Reads a text file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Args:
        path: The file, or a pipe.
        most: Characters that it may have.

    Returns:
        The text without its byte order mark.

    Raises:
        FileError: If it cannot be read, is no such text (with the first bad line) or is too large.
    """
    lines = []
    size = 0
    for number, line in _lines(path, most):
        size += len(line)
        if size > most:
            raise FileError(f"{printable(path)}: has more than {most} characters; this is another file.")
        if not is_decoded(line):
            raise _not_text(path, number)
        lines.append(line)
    return "".join(lines)


def read_json(path: Path | str, kind: type | tuple[type, ...] = (dict, list), most: int = MAX_JSON) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        kind: What its outermost value must be.
        most: Characters that it may have.

    Returns:
        The value.

    Raises:
        FileError: If it cannot be read, is no JSON (with line and column), too large, or something else.
    """
    text = read_text(path, most)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FileError(f"{printable(path)}: is not JSON ({error.msg} at {place}); make it again.") from error
    except (RecursionError, ValueError) as error:
        raise FileError(f"{printable(path)}: is not usable as JSON ({error}); make it again.") from error
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(_KINDS.get(k.__name__, k.__name__) for k in kinds)
        raise FileError(f"{printable(path)}: should hold {wanted}; make it again.")
    return value


def _lines(path: Path | str, longest: int = MAX_LINE) -> Iterator[tuple[int, str]]:
    """Yields the numbered lines of a text; bytes that are not UTF-8 come as surrogates."""
    shown = printable(path)
    number = 0
    try:
        with open(path, "rb") as raw:
            encoding = _encoding(raw.peek(4)[:4])
            bad = "surrogateescape" if encoding == "utf-8-sig" else "strict"
            text = io.TextIOWrapper(raw, encoding=encoding, errors=bad, newline="")
            while line := text.readline(longest + 1):
                number += 1
                if "\0" in line:
                    raise FileError(f"{shown} line {number}: holds zero bytes; this is no text in UTF-8.")
                if len(line) > longest:
                    raise FileError(f"{shown} line {number}: has more than {longest} characters.")
                yield number, line
    except UnicodeError as error:
        raise _not_text(path, number + 1) from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            raise failure(path, error, "cannot be read") from error
        raise FileError(f"{shown}: cannot be read ({error}); check the path.") from error


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _not_text(path: Path | str, line: int) -> FileError:
    hint = "save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')"
    return FileError(f"{printable(path)} line {line}: is not UTF-8 text; {hint}.")


def is_decoded(text: str) -> bool:
    """Says whether a text holds no bytes that are not UTF-8."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


@dataclass(frozen=True)
class Row:
    """A row of a table, whose errors name file, line and column.

    Attributes:
        file: The table.
        line: Number of its (last) line, from 1.
        cells: Text by column, without outer blanks; a column that the row is too short for is missing.
        columns: The whole head.
        decimal_comma: Whether "2,5" may be a number, as where semicolons separate.
    """

    file: Path
    line: int
    cells: Mapping[str, str]
    columns: Sequence[str]
    decimal_comma: bool = False

    def error(self, column: str, problem: str) -> FileError:
        """Returns an error with file, line and column.

        Args:
            column: Name of the column.
            problem: What is wrong and what to do, without a full stop.
        """
        return FileError(f"{printable(self.file)} line {self.line}, column '{column}': {problem}.")

    def text(self, column: str, default: str | None = None) -> str:
        """Returns a cell.

        Args:
            column: Name of the column.
            default: What an empty or missing cell means; an error if `None`.

        Raises:
            FileError: If it is empty and may not be, or is not UTF-8.
        """
        value = self.path(column, default).strip()
        if not is_decoded(value):
            raise self.error(column, "is not UTF-8 text; save the table as UTF-8")
        return value

    def path(self, column: str, default: str | None = None) -> str:
        """Returns a cell that names a file, whose bytes need not be UTF-8; otherwise as `text`."""
        value = self.cells.get(column, "")
        if value:
            return value
        if default is not None:
            return default
        if column in self.cells:
            raise self.error(column, "is empty; fill it in")
        if column in self.columns:
            given, wanted = len(self.cells), len(self.columns)
            raise self.error(column, f"is missing, the row has {given} cells instead of {wanted}; fill it in")
        raise self.error(column, "is missing; add it")

    def number(self, column: str, low: float, high: float, default: float | None = None) -> float | None:
        """Returns a cell that is a number.

        Args:
            column: Name of the column.
            low: The smallest number allowed.
            high: The largest.
            default: What an empty or missing cell means.

        Raises:
            FileError: If it is no number, not finite or out of range.
        """
        cell = self.text(column, "")
        if not cell:
            return default
        try:
            value = float(cell.replace(",", ".") if self.decimal_comma else cell)
            value = math.nan if "_" in cell else value  # Python takes 1_0 for 10
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise self.error(column, f"'{printable(cell)}' is no number from {low:g} to {high:g}; correct it")
        return value


def read_table(path: Path | str, required: Sequence[str] = ()) -> Iterator[Row]:
    """Reads a CSV file as people and spreadsheets write it.

    Commas, semicolons or tabs separate; a byte order mark, blanks after separators, a line `sep=;`,
    upper-case heads and empty lines are allowed.

    Args:
        path: The file, or a pipe.
        required: Columns that must be there, in lower case.

    Yields:
        The rows, at least one; their columns are in lower case.

    Raises:
        FileError: If it cannot be read, has no rows, lacks a column or holds a row that is too long.
    """
    path = Path(path)
    lines = _lines(path)
    separator, first, text = _head(lines, required)
    texts = itertools.chain([text], (line for _, line in lines))
    reader = csv.reader(texts, delimiter=separator, skipinitialspace=True, strict=True)
    count = 0
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_head(path, first, columns, required)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                count += 1
                yield _row(path, first - 1 + reader.line_num, columns, cells, separator)
    except csv.Error as error:
        line = first - 1 + max(reader.line_num, 1)
        problem = f"is not CSV ({error}); check quotes and separators"
        raise FileError(f"{printable(path)} line {line}: {problem}.") from error
    if not count:
        raise FileError(f"{printable(path)}: has no rows below its head; check the file.")


def _head(lines: Iterator[tuple[int, str]], wanted: Sequence[str]) -> tuple[str, int, str]:
    """Finds the separator, and the head with its number."""
    for number, line in lines:
        told = re.fullmatch(rf'"?sep=([{SEPARATORS}])"?\s*', line, re.IGNORECASE)
        if told:
            return told[1], *next(lines, (number, ""))
        if line.strip():
            return _separator(line, wanted), number, line
    return SEPARATORS[0], 1, ""


def _separator(head: str, wanted: Sequence[str]) -> str:
    def found(separator: str) -> tuple[int, int]:
        names = {name.strip(' "\r\n').lower() for name in head.split(separator)}
        return len(names & set(wanted)), head.count(separator)

    return max(SEPARATORS, key=found)


def _check_head(path: Path, line: int, columns: list[str], required: Sequence[str]):
    shown = printable(path)
    missing = [name for name in required if name not in columns]
    if missing:
        there = ", ".join(printable(name) for name in columns[:12] if name) or "nothing"
        lacking = f"lacks the column {', '.join(missing)}"
        raise FileError(f"{shown} line {line}: {lacking}; its head is: {there}.")
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice:
        raise FileError(f"{shown} line {line}: the column '{printable(twice)}' is there twice; remove one.")


def _row(path: Path, line: int, columns: list[str], cells: list[str], separator: str) -> Row:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise FileError(
            f"{printable(path)} line {line}: has {len(cells)} cells, the head has {len(columns)}; "
            "put quotes around a cell that holds a separator."
        )
    named = {name: _unescaped(cell.rstrip()) for name, cell in zip(columns, cells, strict=False) if name}
    return Row(path, line, named, columns, separator != ",")


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


# Names


def printable(text: Path | str) -> str:
    r"""Returns a text or path as it can be shown and stored anywhere.

    Bytes that are not UTF-8 and control characters become \x.., so that no name ends a line or a program.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c) if _is_unprintable(c) else c for c in text)


def _is_unprintable(character: str) -> bool:
    # Not `str.isprintable`, which is against other spaces and joined emoji.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _shown(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def name_problem(name: str) -> str:
    """Says why a text cannot be the name of a file that is written.

    Args:
        name: The name without its suffix, as an id of a manifest.

    Returns:
        What is wrong with it ("is empty"), or nothing.
    """
    if _PLAIN_NAME.fullmatch(name) and not _is_reserved(name):
        return ""
    checks = {
        "is empty": not name.strip(),
        "leads to another folder": name in (".", "..") or name.startswith(("/", "\\", "~")),
        "holds a slash or backslash": "/" in name or "\\" in name,
        "names a drive": bool(re.match(r"[A-Za-z]:", name)),
        "holds a control character or bytes that are not UTF-8": printable(name) != name,
        "begins with a dot, which hides a file": name.startswith("."),
        "begins or ends with a blank": name != name.strip(),
        "is a name that some systems reserve": _is_reserved(name),
        f"has more than {MAX_NAME} bytes": len(name.encode("utf-8", "surrogatepass")) > MAX_NAME,
    }
    return next((problem for problem, is_so in checks.items() if is_so), "")


def file_name(text: str) -> str:
    """Makes a name out of any text that `name_problem` has nothing against; a good one stays as it is.

    Args:
        text: For example a relative path without its suffix: "cafe/s1" becomes "cafe_s1".
    """
    name = re.sub(r"[/\\]", "_", unicodedata.normalize("NFC", text))
    name = "".join(_percent(c) if _is_unprintable(c) else c for c in name).strip()
    if not name or name.startswith((".", "~")) or re.match(r"[A-Za-z]:", name) or _is_reserved(name):
        name = f"_{name}"
    encoded = name.encode()
    if len(encoded) > MAX_NAME:
        # The beginning, and what tells it from other long names that begin like it.
        name = f"{encoded[: MAX_NAME - 9].decode(errors='ignore')}-{hashlib.sha256(encoded).hexdigest()[:8]}"
    return name


def _is_reserved(name: str) -> bool:
    return name.split(".")[0].strip().lower() in _RESERVED


def _percent(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"%{ord(character) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def name_key(name: str) -> str:
    """Returns what two names share that look alike: composed and decomposed letters are the same."""
    return unicodedata.normalize("NFC", name)


# Listing


class Listing(NamedTuple):
    """What lies in a folder and below.

    Attributes:
        files: The files wanted by their path relative to the folder, with slashes, sorted.
        problems: What could not be looked into: link or folder, and why.
    """

    files: dict[str, Path]
    problems: dict[Path, str]


def list_files(folder: Path | str, wanted: Callable[[str], bool]) -> Listing:
    """Lists a folder and the folders below; linked folders are followed, and nothing is passed over silently.

    Hidden files are left out. A link that leads back to a folder around it is cut.

    Args:
        folder: Where to look.
        wanted: Says by its name whether a file is meant.

    Returns:
        The files, and the folders and links that cannot be looked into.

    Raises:
        FileError: If the folder is missing or cannot be listed.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        what = "is a file, not a folder" if os.path.exists(folder) else "no such folder"
        raise FileError(f"{printable(folder)}: {what}; check the path.")
    found = Listing({}, {})
    waiting: list[tuple[Path, tuple[str, ...]]] = [(folder, (os.path.realpath(folder),))]
    looked_into = 0
    while waiting:
        place, around = waiting.pop()
        looked_into += 1
        if looked_into > MAX_FOLDERS:
            raise FileError(f"{printable(folder)}: more than {MAX_FOLDERS} folders; check its links.")
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            if place == folder:
                raise failure(folder, error, "cannot be listed") from error
            found.problems[place] = (
                f"cannot be listed ({error.strerror}); change its permissions or remove it"
            )
            continue
        for entry in entries:
            path = place / entry.name
            if _is_folder(entry):
                inside = os.path.realpath(path)
                if not _leads_back(inside, around):
                    waiting.append((path, (*around, inside)))
            elif not entry.name.startswith("."):
                _note(found, path.relative_to(folder).as_posix(), path, wanted(entry.name))
    return Listing(dict(sorted(found.files.items())), found.problems)


def _note(found: Listing, name: str, path: Path, is_wanted: bool):
    """Enters a file, or what is wrong with it."""
    is_broken = path.is_symlink() and not path.exists()
    if is_wanted and (path.is_file() or is_broken):  # whoever reads a broken link says so
        found.files[name] = path
    elif is_wanted:
        found.problems[path] = "is no plain file; remove it from the folder"
    elif is_broken and not path.suffix[1:].isalpha():  # most likely a folder
        found.problems[path] = f"is a broken link (to {printable(os.readlink(path))}); repair or remove it"


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_back(inside: str, around: Sequence[str]) -> bool:
    """Says whether a folder is one of those that it lies in, or holds one of them."""
    return any(os.path.join(place, "").startswith(os.path.join(inside, "")) for place in around)
