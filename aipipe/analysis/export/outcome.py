"""What an export did: exported, left out, removed, and what a person must look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aipipe.analysis.export.times import Times

Profile = Literal["public", "private"]


@dataclass
class ExportReport:
    """What an export did.

    Attributes:
        path: Folder or ZIP that was written.
        profile: public or private.
        exported: Ids of the exported runs, as the store knows them.
        left_out: Run id → why it is not, for whoever exports.
        published: Run id → its id in a public package. It stays at home: who has it can tell the runs apart again, and
            find the one that somebody wants withdrawn.
        reasons: Why runs were left out, with counts, in words that may be published.
        times: What times the package tells.
        removed: What was removed from exported runs, with counts.
        removals: Run id → what was removed there, each with the number of its entity in the source, where it has one.
        review: Texts a person must approve, each once: sha256, signs, text, and its places (run id/file); and, without
            a text, pictures that somebody gave, whose results a person must look at.
        sources: Models and glyphs of the exported runs, as lines of the datasheet.
    """

    path: Path
    profile: Profile
    exported: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    removals: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    review: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    times: Times = "exact"

    def leave_out(self, run_id: str, why: str, more: str = "") -> None:
        """Note why a run stays at home; `more` is for whoever exports, because it may name folders or values."""
        self.left_out[run_id] = f"{why}: {more}" if more else why
        self.reasons[why] = self.reasons.get(why, 0) + 1

    def remove(self, run_id: str, what: str, entity: Any = None) -> None:
        """Note one removal; `what` is a word of ours, never one of the record's, which may tell what was removed."""
        self.removed[what] = self.removed.get(what, 0) + 1
        place = {"entity": entity} if type(entity) is int else {}
        self.removals.setdefault(run_id, []).append({"what": what, **place})

    def ask(self, text: dict[str, Any], place: str) -> None:
        """Let a person decide on a text; many runs of a batch share one, which is read once."""
        known = next((entry for entry in self.review if entry["sha256"] == text["sha256"]), None)
        if known is None:
            self.review.append({**text, "places": [place]})
        else:
            known["places"].append(place)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "path": str(self.path),
            "profile": self.profile,
            "exported": self.exported,
            "left_out": self.left_out,
            "removed": self.removed,
            "removals": self.removals,
            "published": self.published,
            "review": self.review,
        }

    def __str__(self) -> str:
        count = len(self.exported)
        runs = "run" if count == 1 else "runs"
        lines = [f"{count} {runs} exported ({self.profile}) to {self.path}; {len(self.left_out)} left out."]
        lines += [f"  left out {n} ×: {reason}" for reason, n in self.reasons.items()]
        if not self.exported and any("consent" in reason for reason in self.reasons):
            lines.append(
                '  Give consent when runs are made: aipipe.Lab(labels={"consent": "yes"}). --private asks for none.'
            )
        lines += [f"  removed {n} ×: {what}" for what, n in self.removed.items()]
        if self.review:
            count = sum(bool(entry["text"]) for entry in self.review)
            pictures = len(self.review) - count
            if count:
                texts = "text needs" if count == 1 else "texts need"
                lines.append(
                    f"  {count} {texts} a person to approve or redact them: --review FILE, then --approve FILE."
                )
            if pictures:
                given = "picture was" if pictures == 1 else "pictures were"
                lines.append(
                    f"  {pictures} {given} given by a person: look at what was made from them, "
                    'then set "pictures_seen" in the file of --review.'
                )
        return "\n".join(lines)
