"""Makes the bundled mini corpus: speech from espeak-ng, noises from a random generator, a mixing list.

    python tools/make_mini_corpus.py            # writes keras_segan/data/mini

Needs the program `espeak-ng` (1.51 was used) at build time; the package itself does not. The result
depends only on SEED and on the version of espeak-ng. Nothing in it was recorded.
"""

import csv
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, firwin2, lfilter, sosfilt

from keras_segan import audio
from keras_segan.data.folders import pcm16
from keras_segan.data.mini import MIX_COLUMNS
from keras_segan.data.mixing import active_level, tile

SEED = 2019
RATE = audio.SAMPLE_RATE
OUT = Path(__file__).parents[1] / "keras_segan" / "data" / "mini"
NOISE_SECONDS = 5.0
NOISE_LEVEL = -32.0  # dB re full scale; mixing sets the level, a low one keeps the FLAC files small
SNRS = {"train": (0.0, 5.0, 10.0, 15.0), "validation": (2.5, 7.5, 12.5, 17.5), "test": (2.5, 7.5, 12.5, 17.5)}


@dataclass(frozen=True)
class Voice:
    """One made-up speaker.

    Attributes:
        name: Speaker name in the manifest.
        split: The split it speaks in.
        espeak: Voice and variant of espeak-ng.
        pitch: 0 to 99.
        speed: Words per minute.
        tract: Factor on all frequencies (vocal tract length), undone in pitch and speed by ear.
        tilt: dB per octave above 500 Hz, a microphone's or a speaker's colour.
        level: Active speech level in dB re full scale.
        sentences: What it says.
    """

    name: str
    split: str
    espeak: str
    pitch: int
    speed: int
    tract: float
    tilt: float
    level: float
    sentences: tuple[str, ...]


VOICES = (
    Voice("anna", "train", "en-us+f2", 52, 197, 1.03, -1.0, -25.0, (
        "The baker opens his shop at six.",
        "We walked along the river for an hour.",
        "She put the letters on the kitchen table.",
        "A thin layer of ice covered the pond.",
    )),
    Voice("brian", "train", "en-gb+m3", 40, 190, 0.97, -2.0, -27.0, (
        "The train to the coast was late again.",
        "He keeps his tools in a wooden box.",
        "Please bring two chairs from the hall.",
        "Most of the apples were still green.",
    )),
    Voice("carol", "train", "en-gb-scotland+f4", 55, 195, 1.00, -1.5, -23.0, (
        "Our neighbour grows beans and onions.",
        "The children painted the garden fence.",
        "I have never seen such a clear sky.",
        "They sold the old car last week.",
    )),
    Voice("derek", "train", "en-029+m1", 46, 185, 1.04, 0.0, -29.0, (
        "Nobody noticed the small door.",
        "You should write the number down.",
        "Fresh bread smells best in the morning.",
        "The teacher asked a very simple question.",
    )),
    Voice("edith", "train", "en-gb-x-rp+f5", 45, 200, 0.98, -2.5, -26.0, (
        "My brother plays chess with the doctor.",
        "A cold wind came down from the hills.",
        "There is enough soup for everyone.",
        "The museum closes early on Monday.",
    )),
    Voice("frank", "train", "en-us+m7", 35, 193, 1.00, -0.5, -24.0, (
        "He forgot to lock the office door.",
        "Three boats came back before dark.",
        "The bridge was built of heavy stone.",
        "Turn left at the second traffic light.",
    )),
    Voice("grace", "validation", "en-us-nyc+f3", 58, 195, 0.97, -1.0, -26.0, (
        "The cat sleeps on the warm window sill.",
        "We need more paper for the printer.",
        "Her uncle repairs clocks and watches.",
        "It rained during the whole match.",
    )),
    Voice("henry", "validation", "en-gb-x-gbclan+m4", 42, 190, 1.02, -1.5, -25.0, (
        "Some birds stay here all winter.",
        "The soup needs salt and pepper.",
        "I met him once at the harbour.",
        "They moved the piano next door.",
    )),
    Voice("irene", "test", "en-gb+f1", 50, 190, 1.02, -1.0, -27.0, (
        "The post office is across the square.",
        "He carried the basket up the stairs.",
        "A yellow bus stopped near the school.",
    )),
    Voice("james", "test", "en-us+m2", 44, 195, 0.96, -2.0, -25.0, (
        "She knows the road through the forest.",
        "The farmer counted his sheep twice.",
        "Dinner will be ready in ten minutes.",
    )),
    Voice("karen", "test", "en-029+f5", 60, 197, 1.04, 0.0, -24.0, (
        "Take the blue coat with you tonight.",
        "The lamp above the desk is broken.",
        "Several guests arrived by bicycle.",
    )),
    Voice("louis", "test", "en-gb-x-gbcwmd+m6", 38, 187, 1.00, -1.5, -28.0, (
        "Old maps hang on the library wall.",
        "The dog ran across the muddy field.",
        "We finished the work before lunch.",
    )),
)  # fmt: skip

BABBLE_SENTENCES = (
    "Did you hear what happened at the market yesterday, it was quite a surprise for all of us.",
    "I would rather take the early flight and sleep a bit longer when I get home.",
    "The second course was better than the first, but the dessert was the best of all.",
    "Well, my sister says that the new house has a large garden and a view over the lake.",
    "Nobody told me that the meeting was moved, so I waited there for more than an hour.",
    "You can find a good pair of shoes in the little shop around the corner, not too expensive.",
)


def main():
    """Writes clean/, noise/ and mixes.csv afresh."""
    for folder in ("clean", "noise"):
        shutil.rmtree(OUT / folder, ignore_errors=True)
        (OUT / folder).mkdir(parents=True)
    lengths = write_speech()
    noises = make_noises()
    for split_noises in noises.values():
        for name, noise in split_noises.items():
            quiet = noise * (10 ** (NOISE_LEVEL / 20) / np.sqrt(np.mean(noise**2)))
            audio.write(OUT / "noise" / f"{name}.flac", pcm16(quiet), RATE, "PCM_16")
    write_mixes(lengths, {split: sorted(members) for split, members in noises.items()})
    size = sum(file.stat().st_size for file in OUT.rglob("*") if file.is_file())
    print(f"{len(lengths)} utterances, {sum(lengths.values()) / RATE:.1f} s, {size / 1e6:.2f} MB")


# ---------------------------------------------------------------------------------- speech


def write_speech() -> dict[str, int]:
    """Speaks and writes every sentence; returns utterance id -> number of samples."""
    lengths = {}
    for number, voice in enumerate(VOICES):
        room = room_response(np.random.default_rng([SEED, 1, number]), seconds=0.2 + 0.05 * (number % 4))
        for k, sentence in enumerate(voice.sentences, start=1):
            rng = np.random.default_rng([SEED, 2, number, k])
            speech = colour(speak(sentence, voice), voice, room, rng)
            seconds = len(speech) / RATE
            if not 1.2 <= seconds <= 2.2:
                raise SystemExit(
                    f"'{sentence}' takes {seconds:.2f} s; change it or the speed of {voice.name}."
                )
            identifier = f"{voice.name}_{k:02d}"
            audio.write(OUT / "clean" / f"{identifier}.flac", pcm16(speech), RATE, "PCM_16")
            lengths[identifier] = len(speech)
    return lengths


def speak(sentence: str, voice: Voice) -> np.ndarray:
    """Runs espeak-ng; `(samples,)` at 16 kHz, silence at both ends cut."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        options = ["-v", voice.espeak, "-p", str(voice.pitch), "-s", str(voice.speed), "-z", "-w", str(wav)]
        subprocess.run(["espeak-ng", *options, sentence], check=True)
        raw, rate = audio.read(wav)
    # Read at a wrong rate on purpose: this moves the formants, as another vocal tract does.
    speech = audio.resample(raw, round(rate * voice.tract), RATE).astype(np.float64)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


def colour(speech: np.ndarray, voice: Voice, room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds breath, room, the voice's tilt and level, and a faint noise floor to synthetic speech."""
    lead, tail = rng.integers(int(0.08 * RATE), int(0.14 * RATE), 2)
    speech = np.pad(speech, (lead, tail))
    speech = fftconvolve(speech, tilt_filter(voice.tilt), "same")
    # Breath: noise that follows the speech, 20 dB below it. Without it, gaps between harmonics and
    # sounds are cleaner than in any recording, and PESQ punishes the slightest noise in them.
    envelope = np.sqrt(np.maximum(fftconvolve(speech**2, np.hanning(320) / 160, "same"), 0))
    breath = spectral_noise(rng, len(speech), [0, 200, 1500, 8000], [-20, -6, 0, -10])
    speech = fftconvolve(speech + 0.1 * envelope * breath, room)[: len(speech)]
    speech *= 10 ** ((voice.level + rng.uniform(-1.5, 1.5) - active_level(speech)) / 20)
    # 44 dB below the speech: what a room and a microphone leave; no frame is exactly zero.
    floor = spectral_noise(rng, len(speech), [0, 100, 1000, 8000], [0, 0, -12, -24])
    return speech + floor * 10 ** ((voice.level - 44) / 20)


def room_response(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Direct sound, a few early reflections and a faint decaying tail; `(samples,)`."""
    n = int(seconds * RATE)
    response = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n) * 0.01
    for delay in rng.integers(int(0.002 * RATE), int(0.025 * RATE), 6):
        response[delay] += rng.choice((-1, 1)) * 0.25 * np.exp(-delay / (0.012 * RATE))
    response[0] = 1.0
    return response


def tilt_filter(db_per_octave: float) -> np.ndarray:
    """FIR filter that falls by so many dB per octave above 500 Hz, without the lowest hum."""
    frequencies = np.linspace(0, RATE / 2, 257)
    gain = 10 ** (db_per_octave * np.log2(np.maximum(frequencies, 500) / 500) / 20)
    gain[frequencies < 60] = 0.1
    return firwin2(513, frequencies, gain, fs=RATE)


# ---------------------------------------------------------------------------------- noises


def make_noises() -> dict[str, dict[str, np.ndarray]]:
    """Returns split -> noise name -> `(samples,)`; no kind of noise is in two splits."""
    n = int(NOISE_SECONDS * RATE)
    talk = babble_voices()
    makers = {
        "train": {
            "speechshaped": lambda rng: speech_shaped(rng, n, talk),
            "babble": lambda rng: babble(rng, n, talk),
            "car": lambda rng: car(rng, n),
            "fan": lambda rng: fan(rng, n),
            "pink": lambda rng: pink(rng, n),
            "street": lambda rng: street(rng, n),
            "rain": lambda rng: rain(rng, n),
            "bursts": lambda rng: bursts(rng, n),
        },
        "validation": {
            "drill": lambda rng: drill(rng, n),
            "wind": lambda rng: wind(rng, n),
            "office": lambda rng: office(rng, n, talk),
            "engine": lambda rng: engine(rng, n),
        },
        "test": {
            "bus": lambda rng: bus(rng, n),
            "cafe": lambda rng: cafe(rng, n, talk),
            "siren": lambda rng: siren(rng, n),
            "rails": lambda rng: rails(rng, n),
        },
    }
    number = 0
    noises = {}
    for split, members in makers.items():
        noises[split] = {}
        for name, make in members.items():
            noise = make(np.random.default_rng([SEED, 3, number]))
            noises[split][name] = noise - noise.mean()
            number += 1
    return noises


def babble_voices() -> list[np.ndarray]:
    """Speech of the TRAINING voices only, with other sentences than the corpus has."""
    training = [voice for voice in VOICES if voice.split == "train"]
    spoken = []
    for k, voice in enumerate(training):
        for sentence in (BABBLE_SENTENCES[k], BABBLE_SENTENCES[(k + 2) % len(BABBLE_SENTENCES)]):
            speech = speak(sentence, voice)
            spoken.append(speech * 10 ** ((-26 - active_level(speech)) / 20))
    return spoken


def babble(rng: np.random.Generator, n: int, talk: list[np.ndarray]) -> np.ndarray:
    """Twelve talkers at once, in a room."""
    mixed = sum(np.roll(tile(speech, n), rng.integers(n)) * rng.uniform(0.6, 1.2) for speech in talk)
    return fftconvolve(mixed, room_response(rng, 0.3))[:n]


def speech_shaped(rng: np.random.Generator, n: int, talk: list[np.ndarray]) -> np.ndarray:
    """Stationary noise with the average spectrum of the training voices."""
    power = np.zeros(257)
    for speech in talk:
        frames = speech[: len(speech) // 512 * 512].reshape(-1, 512) * np.hanning(512)
        power += np.sum(np.abs(np.fft.rfft(frames)) ** 2, axis=0)
    taps = firwin2(513, np.linspace(0, 1, 257), np.sqrt(power / power.max()))
    return fftconvolve(rng.standard_normal(n + 512), taps, "valid")


def car(rng: np.random.Generator, n: int) -> np.ndarray:
    """Road rumble below 200 Hz, some tyre noise, a low engine order."""
    rumble = spectral_noise(rng, n, [0, 25, 50, 120, 400, 2000, 8000], [-30, -6, 0, -3, -22, -34, -50])
    return rumble * slow(rng, n, 1.0, 0.3) + 0.15 * harmonics(
        n, 38 * (1 + 0.01 * smooth(rng, n, 1.0)), 4, 1.0
    )


def fan(rng: np.random.Generator, n: int) -> np.ndarray:
    """Blade tone with harmonics and air noise, modulated by the rotation."""
    turn = 1 + 0.3 * np.sin(2 * np.pi * 11.5 * np.arange(n) / RATE)
    air = spectral_noise(rng, n, [0, 60, 200, 1000, 8000], [-10, 0, -2, -18, -42])
    return air * turn + 0.6 * harmonics(n, np.full(n, 92.0), 12, 1.2)


def pink(rng: np.random.Generator, n: int) -> np.ndarray:
    """Power falling by 3 dB per octave: the one stationary broad-band noise."""
    octaves = [31.25 * 2**k for k in range(9)]
    return spectral_noise(rng, n, [0, *octaves], [0, *(-3 * k for k in range(9))])


def street(rng: np.random.Generator, n: int) -> np.ndarray:
    """Traffic: rumble, and cars that pass by and are brighter while they are near."""
    passing = 10 ** (-1.2 * np.minimum(1, np.abs((np.arange(n) / RATE - 0.4) % 2.3 - 1.1)))
    far = spectral_noise(rng, n, [0, 20, 60, 200, 800, 8000], [-20, 0, -1, -10, -24, -48])
    near = spectral_noise(rng, n, [0, 100, 600, 1500, 8000], [-20, -4, 0, -8, -34])
    return far + 0.9 * near * passing


def rain(rng: np.random.Generator, n: int) -> np.ndarray:
    """Many short drops of all sizes above a hiss."""
    drops = np.zeros(n)
    for start in rng.integers(0, n - 400, 2500):
        length = rng.integers(20, 120)
        envelope = np.exp(-np.arange(length) / (length / 4))
        drops[start : start + length] += rng.standard_normal(length) * envelope * rng.lognormal(0, 0.8)
    hiss = spectral_noise(rng, n, [0, 500, 3000, 8000], [-20, -6, 0, -2])
    return sosfilt(butter(2, 300, "high", fs=RATE, output="sos"), drops) + 0.5 * hiss


def bursts(rng: np.random.Generator, n: int) -> np.ndarray:
    """Machine-gun-like shots in salvos above a low hum."""
    shots = 0.02 * spectral_noise(rng, n, [0, 50, 300, 8000], [0, 0, -10, -30])
    start = 0
    while start < n - RATE // 2:
        period = int(RATE * rng.uniform(0.085, 0.115))
        for _ in range(rng.integers(5, 10)):
            length = min(1600, n - start)
            if length <= 0:
                break
            crack = rng.standard_normal(length) * np.exp(-np.arange(length) / 220)
            shots[start : start + length] += lfilter([1.0], [1, -0.75], crack) * rng.uniform(0.7, 1.0)
            start += period
        start += int(RATE * rng.uniform(0.15, 0.35))
    return shots


def drill(rng: np.random.Generator, n: int) -> np.ndarray:
    """Whine with rich harmonics whose speed sags under load, and hammer strokes."""
    speed = 210 * (1 - 0.06 * np.maximum(0, smooth(rng, n, 0.8)))
    strokes = 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 27 * np.arange(n) / RATE))
    grind = spectral_noise(rng, n, [0, 500, 2500, 6000, 8000], [-25, -8, 0, -10, -20])
    return harmonics(n, speed, 20, 1.0) * strokes + 0.3 * grind * strokes


def wind(rng: np.random.Generator, n: int) -> np.ndarray:
    """Gusts: low noise with strong slow level changes, and some leaves."""
    gusts = spectral_noise(rng, n, [0, 20, 80, 250, 1000, 8000], [-20, 0, -2, -14, -28, -50])
    leaves = spectral_noise(rng, n, [0, 1000, 3500, 8000], [-30, -6, 0, -6])
    strength = slow(rng, n, 1.2, 0.9)
    return gusts * strength + 0.08 * leaves * strength**2


def office(rng: np.random.Generator, n: int, talk: list[np.ndarray]) -> np.ndarray:
    """Air conditioning, keyboard clicks and two far talkers."""
    air = spectral_noise(rng, n, [0, 40, 150, 1000, 8000], [-10, 0, -4, -18, -36])
    keys = sum(ring(rng, n, rng.integers(n), (1500, 5000), 0.006) for _ in range(30))
    far = sum(np.roll(tile(talk[k], n), rng.integers(n)) for k in (3, 8))
    far = sosfilt(butter(2, 1500, fs=RATE, output="sos"), fftconvolve(far, room_response(rng, 0.4))[:n])
    return air + 0.8 * keys + 12 * far


def engine(rng: np.random.Generator, n: int) -> np.ndarray:
    """Diesel: half orders of a wavering speed, with combustion rattle in their rhythm."""
    speed = 14 * (1 + 0.02 * smooth(rng, n, 0.7))
    phase = np.cumsum(speed) / RATE
    rattle = spectral_noise(rng, n, [0, 300, 1200, 3000, 8000], [-20, -6, 0, -12, -35])
    return harmonics(n, speed, 40, 0.9) + 0.4 * rattle * np.exp(-6 * (2 * phase % 1))


def bus(rng: np.random.Generator, n: int) -> np.ndarray:
    """Heavy rumble, an accelerating engine, rattling windows, air brake hiss at the end."""
    rumble = spectral_noise(rng, n, [0, 20, 60, 250, 900, 8000], [-20, 0, -1, -14, -26, -42])
    motor = harmonics(n, np.linspace(24, 37, n), 25, 1.0)
    rattle = sum(ring(rng, n, rng.integers(n), (400, 2200), 0.012) for _ in range(60))
    hiss = spectral_noise(rng, n, [0, 1500, 4000, 8000], [-30, -6, 0, -3])
    hiss *= np.exp(-((np.arange(n) / n - 0.85) ** 2) / 0.004)
    return rumble + 0.5 * motor + 0.3 * rattle + 0.3 * hiss


def cafe(rng: np.random.Generator, n: int, talk: list[np.ndarray]) -> np.ndarray:
    """Six near talkers played from their middle, reverberation, cups and plates."""
    near = sum(np.roll(tile(talk[k], n), len(talk[k]) // 2 + rng.integers(n)) for k in (1, 2, 5, 6, 9, 10))
    near = fftconvolve(near, room_response(rng, 0.5) + 0.02 * room_response(rng, 0.5))[:n]
    cups = sum(ring(rng, n, rng.integers(n), (1800, 5500), 0.03) for _ in range(25))
    air = spectral_noise(rng, n, [0, 60, 400, 8000], [-6, 0, -12, -34])
    return near / near.std() + 0.4 * cups + 0.8 * air


def siren(rng: np.random.Generator, n: int) -> np.ndarray:
    """A wailing siren with street noise."""
    time = np.arange(n) / RATE
    wail = 850 + 330 * np.sin(2 * np.pi * 0.55 * time)
    traffic = spectral_noise(rng, n, [0, 30, 100, 600, 2500, 8000], [-20, 0, 0, -14, -28, -44])
    return 0.4 * harmonics(n, wail, 5, 1.5) + traffic * slow(rng, n, 1.0, 0.3)


def rails(rng: np.random.Generator, n: int) -> np.ndarray:
    """A train: rolling noise and pairs of clacks at the rail joints."""
    roll = spectral_noise(rng, n, [0, 30, 100, 400, 1500, 3000, 8000], [-20, 0, 0, -12, -18, -28, -44])
    clacks = np.zeros(n)
    for joint in np.arange(0.2, NOISE_SECONDS - 0.3, 0.62):
        for gap in (0.0, 0.11):
            clacks += 2.0 * ring(rng, n, int((joint + gap) * RATE), (250, 1400), 0.025)
    return roll * slow(rng, n, 0.5, 0.25) + clacks


# ---------------------------------------------------------------------------------- parts of noises


def spectral_noise(rng: np.random.Generator, n: int, frequencies: list, levels: list) -> np.ndarray:
    """Gaussian noise of RMS 1 whose spectrum joins the points (Hz, dB) by straight lines."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= 10 ** (np.interp(np.fft.rfftfreq(n, 1 / RATE), frequencies, levels) / 20)
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def harmonics(n: int, frequency: np.ndarray, count: int, decay: float) -> np.ndarray:
    """Sum of `count` harmonics (amplitude 1 / k**decay) of a frequency in Hz that may vary; RMS 1."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    tone = sum(np.sin(k * phase + 2.4 * k * k) / k**decay for k in range(1, count + 1))
    return tone / tone.std()


def smooth(rng: np.random.Generator, n: int, seconds: float) -> np.ndarray:
    """A slow random curve of RMS 1, with a new value every so many seconds."""
    points = rng.standard_normal(int(n / RATE / seconds) + 3)
    curve = np.interp(np.arange(n) / RATE / seconds, np.arange(len(points)), points)
    return curve / curve.std()


def slow(rng: np.random.Generator, n: int, seconds: float, depth: float) -> np.ndarray:
    """A positive level curve that varies slowly; `depth` is its spread in nepers."""
    return np.exp(depth * smooth(rng, n, seconds))


def ring(rng: np.random.Generator, n: int, start: int, band: tuple, seconds: float) -> np.ndarray:
    """One struck object: three decaying resonances in a band (Hz) that begin at sample `start`."""
    time = np.arange(n - start) / RATE
    hit = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(*band, 3)) * np.exp(-time / seconds)
    return np.concatenate([np.zeros(start), hit * rng.uniform(0.3, 1.0)])


# ---------------------------------------------------------------------------------- mixing list


def write_mixes(lengths: dict[str, int], noises: dict[str, list[str]]):
    """Writes mixes.csv: every utterance once; noises and SNRs spread evenly in each split."""
    total = int(NOISE_SECONDS * RATE)
    with open(OUT / "mixes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MIX_COLUMNS)
        for s, (split, names) in enumerate(noises.items()):
            rng = np.random.default_rng([SEED, 4, s])
            mine = [(v.name, k) for v in VOICES if v.split == split for k in range(1, len(v.sentences) + 1)]
            conditions = spread(rng, names, SNRS[split], len(mine))
            for (speaker, k), (noise, snr) in zip(mine, conditions, strict=True):
                clean = f"{speaker}_{k:02d}"
                offset = rng.integers(0, total - lengths[clean])
                files = (f"clean/{clean}.flac", f"noise/{noise}.flac")
                writer.writerow([clean, *files, offset, f"{snr:g}", split, speaker, noise])


def spread(rng: np.random.Generator, noises: list, snrs: tuple, count: int) -> list[tuple[str, float]]:
    """Returns `count` conditions in random order: every noise and every SNR equally often, pairs distinct."""
    pairs = [(noises[(k + shift) % len(noises)], snrs[k % len(snrs)]) for shift in range(4) for k in range(8)]
    pairs = list(dict.fromkeys(pairs))[:count]
    return [pairs[k] for k in rng.permutation(count)]


if __name__ == "__main__":
    main()
