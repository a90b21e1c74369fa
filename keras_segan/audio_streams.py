"""Getting at the bytes of audio: plain files, pipes, standard input, and headers that do not know the length.

A program that writes to a pipe cannot go back and enter the length. libsndfile reads most such files; the
headers that it takes for empty or malformed are corrected here while it reads.
"""

import io
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from keras_segan import limits
from keras_segan.errors import AudioError

File = Path | str | BinaryIO

IN_MEMORY = 1 << 26  # bytes that are kept in memory before a file is opened
_HEAD = 1 << 16  # bytes of a header that are searched for the chunk of samples
_PIECE = 1 << 20  # bytes that are copied at a time
_ALL_ONES = b"\xff" * 4


def opened(file: File, name: str) -> bytes | BinaryIO:
    """Returns what libsndfile can read.

    Args:
        file: A path, also of a pipe, or an open binary file.
        name: What messages call it.

    Returns:
        The path as bytes, whatever its encoding; or a binary file that can seek.

    Raises:
        AudioError: If there is no such file, it is empty, or neither a file nor a pipe.
    """
    if not isinstance(file, (str, Path)):
        return corrected(file) or file
    mode = _mode(file, name)
    if stat.S_ISFIFO(mode):
        with open(file, "rb") as pipe:
            return spooled(pipe, name)
    if not stat.S_ISREG(mode):
        raise AudioError(f"{name}: neither a file nor a pipe; name an audio file.")
    if os.stat(file).st_size == 0:
        raise AudioError(f"{name}: the file has no bytes; copy it again.")
    plain = open(file, "rb")  # noqa: SIM115 - closed here, or by the owner of what is returned
    patched = corrected(plain)
    if patched is None:
        plain.close()
    return os.fsencode(file) if patched is None else patched


def _mode(path: Path | str, name: str) -> int:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            open(path, "rb").close()
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such file; check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise AudioError(f"{name}: cannot be opened ({getattr(error, 'strerror', error)}).") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"{name}: this is a folder, not an audio file; name the file itself.")
    return mode


def spooled(stream: BinaryIO, name: str) -> BinaryIO:
    """Reads a stream to its end into a file that can seek.

    Args:
        stream: A pipe, or standard input.
        name: What messages call it.

    Returns:
        The file, at its beginning, with a header that libsndfile reads.

    Raises:
        AudioError: If nothing comes, or more than `limits.MOST_STREAMED`.
    """
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by the owner
    try:
        while piece := stream.read(_PIECE):
            file.write(piece)
            if file.tell() > limits.MOST_STREAMED:
                raise AudioError(
                    f"{name}: more than {limits.MOST_STREAMED:,} bytes; write it to a file first."
                )
        if not file.tell():
            raise AudioError(f"{name}: no bytes came; the program before the pipe failed, or wrote nothing.")
    except BaseException:
        file.close()
        raise
    return corrected(file) or file


def corrected(file: BinaryIO) -> "Patched | None":
    """Finds headers of unknown length that libsndfile cannot read.

    Args:
        file: An open file that can seek.

    Returns:
        The file with another header, `None` if nothing need be changed.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    patches = {}
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        patches = _wave_patches(head, size)
    elif head[:4] == b"caff":
        patches = _caf_patches(head, size)
    return Patched(file, patches) if patches else None


def _wave_patches(head: bytes, size: int) -> dict[int, bytes]:
    """A length of 0 with samples behind it, or a 64-bit header that was never filled in."""
    place = _chunk(head, 12, "little", 4)
    if place is None or place + 8 >= size:
        return {}
    if head[:4] == b"RF64":
        # Read as plain WAV of unknown length.
        filled = 0 < int.from_bytes(head[28:36], "little") < 1 << 62
        return {} if filled and head[12:16] == b"ds64" else {0: b"RIFF", place + 4: _ALL_ONES}
    empty = not any(head[place + 4 : place + 8])
    return {place + 4: _ALL_ONES} if empty and not _is_chunk(head[place + 8 :], size - place - 8) else {}


def _caf_patches(head: bytes, size: int) -> dict[int, bytes]:
    """A length of -1, which the format allows for the last chunk."""
    place = _chunk(head, 8, "big", 8)
    if place is None or head[place + 4 : place + 12] != 2 * _ALL_ONES:
        return {}
    return {place + 4: (size - place - 12).to_bytes(8, "big")}


def _chunk(head: bytes, place: int, order: str, width: int) -> int | None:
    """Returns where the chunk "data" begins."""
    while place + 4 + width <= len(head):
        if head[place : place + 4] == b"data":
            return place
        length = int.from_bytes(head[place + 4 : place + 4 + width], order)
        place += 4 + width + length + (length % 2 if width == 4 else 0)
    return None


def _is_chunk(rest: bytes, size: int) -> bool:
    """Says whether an empty chunk is followed by another one rather than by samples."""
    return rest[:4].isalnum() and 8 + int.from_bytes(rest[4:8], "little") <= size


class Patched(io.RawIOBase):
    """A file some bytes of which read differently.

    Args:
        file: An open file that can seek; closed with this one.
        patches: Bytes by position.
    """

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]):
        self._file = file
        self._patches = patches

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer) -> int:
        start = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, patch in self._patches.items():
            for offset, value in enumerate(patch, place - start):
                if 0 <= offset < len(data):
                    data[offset] = value
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self._file.close()
        super().close()


def copied(source: Path, target: BinaryIO):
    """Copies a finished file into a stream.

    Args:
        source: The file.
        target: A pipe, device, or standard output.
    """
    with open(source, "rb") as finished:
        shutil.copyfileobj(finished, target)
    target.flush()
