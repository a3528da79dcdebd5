"""A sound from a hash: eight fading tones of a pentatonic scale, as a WAV."""

from __future__ import annotations

import array
import io
import math
import sys
import wave

from aipipe.runners.placeholder.hashing import digest_of

RATE = 8000
TONES = 8
TONE_SAMPLES = 1600
SECONDS = TONES * TONE_SAMPLES / RATE
ROOT = 220.0
STEPS = (0, 2, 4, 7, 9, 12, 14, 16)
"""A major pentatonic scale over an octave and a third, in semitones: no two of its tones grate."""

LOUD = 9000


def play(prompt: str, seed: int, *, chords: bool) -> bytes:
    """The WAV of a prompt: 16 bit, mono, 8 kHz, 1.6 s.

    Args:
        prompt: Any text.
        seed: Any integer.
        chords: Two voices instead of one, so that music is not the same file as a sound.
    """
    digest = digest_of(prompt, seed)
    samples = array.array("h")
    for place in range(TONES):
        pitches = [digest[place] % len(STEPS)]
        if chords:
            pitches.append((pitches[0] + 2 + digest[TONES + place] % 3) % len(STEPS))
        samples.extend(_tone([ROOT * 2 ** (STEPS[pitch] / 12) for pitch in pitches]))
    if sys.byteorder == "big":
        samples.byteswap()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _tone(frequencies: list[float]) -> array.array[int]:
    """One tone or chord that fades to nothing, so that neighbours join without a click."""
    turns = [2 * math.pi * frequency / RATE for frequency in frequencies]
    loud = LOUD / len(turns)
    return array.array(
        "h",
        (
            int(loud * (1 - i / TONE_SAMPLES) ** 2 * sum(math.sin(turn * i) for turn in turns))
            for i in range(TONE_SAMPLES)
        ),
    )
