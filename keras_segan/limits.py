"""What is taken from files and callers at the most; `docs/limits.md` explains every line.

A value beyond a limit is refused with a sentence. The limits are far from real audio and from this package's
models, and near enough that nothing fills a machine's memory.
"""

LOWEST_RATE = 1_000  # Hz
HIGHEST_RATE = 768_000  # Hz
MOST_CHANNELS = 64
LONGEST = 24 * 3600  # seconds of a file
MOST_IN_MEMORY = 1 << 27  # samples (all channels) of a file that is read as a whole
LARGEST_SAMPLE = float(1 << 31)  # full scale is 1; what is far beyond is no audio
MOST_STREAMED = 1 << 32  # bytes from a pipe or standard input

MOST_TEXT = 1 << 24  # bytes of a model's JSON or of a registry
DEEPEST_TEXT = 100  # brackets within brackets
MOST_UNPACKED = 1 << 29  # bytes of a model file's members or arrays, together
LARGEST_SIZE = 1 << 20  # any size in a network's configuration: units, filters, axes
LONGEST_FRAME = 1 << 16  # samples, of a front end
