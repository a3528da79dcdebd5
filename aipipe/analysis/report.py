"""What a loader did: found, loaded, skipped and why. Kept in `frame.attrs["report"]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aipipe.display.text import short_path


class LoadReport(dict[str, Any]):
    """A plain dict with names, so that `DataFrame.to_parquet` (which writes attrs as JSON) keeps working.

    Keys: `frame`, `source`, `stores` (folders that were read), `found`, `loaded`, `skipped` (list of {path, reason}), `rows`, `rows_filtered`, `notes`.
    `found == loaded + len(skipped)` counts runs; `rows` is what the frame holds after `rows_filtered` rows were
    left out by `where` and `since`.
    """

    def __init__(self, frame: str, source: str) -> None:
        super().__init__(
            frame=frame,
            source=source,
            stores=[],
            found=0,
            loaded=0,
            skipped=[],
            rows=0,
            rows_filtered=0,
            notes=[],
            index="none",
        )

    def of(self, folders: Sequence[Path]) -> None:
        """Say which folders are read."""
        self["stores"] = [str(folder) for folder in folders]
        self["source"] = ", ".join(self["stores"])

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __deepcopy__(self, memo: Any) -> LoadReport:
        # pandas copies attrs on every operation; a report never changes once its frame exists.
        return self

    def skip(self, path: str, reason: str) -> None:
        """Note that a run could not be loaded."""
        self["skipped"].append({"path": path, "reason": reason})

    def note(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self["notes"]:
            self["notes"].append(text)

    def __str__(self) -> str:
        head = (
            f"{self.frame}: {self.found} found, {self.loaded} loaded, {len(self.skipped)} skipped; "
            f"{self.rows} rows ({self.rows_filtered} left out by where or since). Source: "
            f"{', '.join(map(_shown, self.stores))}"
        )
        lines = [head]
        lines += [f"  skipped {_shown(item['path'])}: {item['reason']}" for item in self.skipped[:20]]
        if len(self.skipped) > 20:
            lines.append(f"  … and {len(self.skipped) - 20} more in report['skipped']")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _shown(path: str) -> str:
    """A place as a shared notebook may show it; the report itself keeps it whole."""
    return short_path(str(path))
