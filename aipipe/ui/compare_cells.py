"""The cells of a comparison: pictures, players, prompts, and the prompt chains beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aipipe.display.chain import chain
from aipipe.display.diff import word_diff
from aipipe.display.html import escape, folded, pill, text_block
from aipipe.display.media_view import PLAYER_BYTES, data_uri, player, thumbnail
from aipipe.store import Run
from aipipe.ui.thumbnails import Thumbnails

SHOWN = ("image", "video", "audio", "music")
SOUNDS_BYTES = 600_000
"""Most bytes of sound that the players of a matrix in a notebook hold; the others show their loudness alone."""


@dataclass
class Cell:
    """The runs of one row and column."""

    runs: list[Run] = field(default_factory=list)


def prompt_of(run: Run) -> str:
    """The last interception of a run, "" where there is none."""
    texts = [link.text for link in chain(run) if link.entity.type in ("interception", "interception_edit")]
    return texts[-1] if texts else ""


class Pictures:
    """Makes pictures until the page has enough.

    Args:
        size: Longest side in pixels.
        most: Most pictures; None for all, with every player.

    Attributes:
        left_out: Pictures that were not made.
    """

    def __init__(self, size: int, most: int | None) -> None:
        self._size = size
        self._most = most
        self._made = 0
        self._sounds = 0
        self.left_out = 0

    def of(self, run: Run) -> str:
        """The picture of a run's first medium, with a player under that of a sound."""
        if self._most is not None and self._made >= self._most:
            self.left_out += any(e.media_type in SHOWN for e in run.entities if e.type.startswith("output_"))
            return ""
        played = self._player(run)
        data, note = self._bytes(run)
        if not data:
            note = f'<div class="aip-note">{escape(note)}</div>' if run.status == "completed" else ""
            return played or note
        self._made += 1
        seed = f"seed {run.record.seed}: " if run.record.seed is not None else ""
        alt = escape(f"{seed}{prompt_of(run)[:200]}")
        return f'<img alt="{alt}" title="{escape(run.run_id)}" src="{data_uri(data, "image/webp")}">{played}'

    def _player(self, run: Run) -> str:
        """A player under the picture of a sound; a notebook takes so many bytes of them, a saved page all."""
        sound = next((e for e in run.entities if e.type in ("output_audio", "output_music")), None)
        room = PLAYER_BYTES if self._most is None else min(PLAYER_BYTES, SOUNDS_BYTES - self._sounds)
        try:
            played = player(sound, sound.path, room) if sound is not None else ""
        except OSError:
            return ""
        self._sounds += len(played)
        return played

    def _bytes(self, run: Run) -> tuple[bytes, str]:
        if self._size <= 256:
            return Thumbnails(run.folder.parent, self._size).of(run.folder)
        media = [e for e in run.entities if e.type.startswith("output_")]
        entity = next((e for e in media if e.media_type == "image"), media[0] if media else None)
        if entity is None:
            return b"", "no picture"
        made = thumbnail(entity.path, self._size, 400_000, media_type=entity.media_type)
        return made or b"", "does not open" if entity.media_type == "image" else entity.media_type


def cell_html(cell: Cell, show: Pictures) -> str:
    """A cell: its pictures, how runs ended that did not complete, its prompts."""
    if not cell.runs:
        return '<span class="aip-note">no run</span>'
    pictures = "".join(show.of(run) for run in cell.runs)
    pills = "".join(pill(run.status) for run in cell.runs if run.status != "completed")
    prompts = list(dict.fromkeys(prompt_of(run) for run in cell.runs))
    texts = "".join(text_block(prompt[:1_200]) for prompt in prompts[:3] if prompt)
    return f'<div class="aip-pics">{pictures}</div>{pills}{texts}'


def aligned(cells: Sequence[Cell], base: Run | None, columns: int) -> str:
    """The prompt chains of a row, step beside step, each with what it changes against the reference column."""
    chains = [_steps(cell.runs[0]) if cell.runs else {} for cell in cells]
    labels = list(dict.fromkeys(label for steps in chains for label in steps))
    if not labels:
        return ""
    known = _steps(base) if base is not None else {}
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        + "".join(f"<td>{_step(steps.get(label), known.get(label))}</td>" for steps in chains)
        + "</tr>"
        for label in labels
    )
    chain_table = folded("prompt chains, step by step", f'<table class="aip-chains"><tbody>{body}</tbody></table>')
    return f'<tr class="aip-chain-row"><td colspan="{columns + 1}">{chain_table}</td></tr>'


def _steps(run: Run) -> dict[str, str]:
    """Label → text of a run's steps; a label that comes again gets its number."""
    found: dict[str, str] = {}
    for link in chain(run):
        if link.text:
            number = sum(label == link.label or label.startswith(f"{link.label} ") for label in found) + 1
            found[link.label if number == 1 else f"{link.label} {number}"] = link.text[:1_200]
    return found


def _step(text: str | None, known: str | None) -> str:
    if text is None:
        return '<span class="aip-note">no such step</span>'
    if known is None or known == text:
        return text_block(text)
    return word_diff(known, text) or text_block(text)
