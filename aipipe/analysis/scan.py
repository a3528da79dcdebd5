"""Find the records of a store: a flat folder of runs, or the nested folders of older systems. Never follows a link."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter, le
from pathlib import Path

from aipipe.analysis.reading import Signature, Unreadable, parse, read_bytes, signature_of

RESERVED = frozenset({"batches", "annotations", "ratings", "final", "prompting_process", "__pycache__"})
MAX_DEPTH = 4
"""exports/json/{date}/{device}/{run}: the deepest layout known."""
RECORD = "metadata.json"
NO_FILE: Signature = (0, 0, 0, 0)
"""The signature of no file."""
_LOOSE_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Listing:
    """What a scan found, sorted by name.

    Attributes:
        root: The scanned folder.
        names: Record files relative to the root, `/`-separated.
        signatures: mtime_ns, ctime_ns, size, inode of each, in one flat array: four numbers a record cost a tenth of the
            memory of four objects. Zeros where a trusting listing leaves that to the reader.
        bad: (name, reason) of folders that look like runs and cannot be read.
        unseen: How many folders lie too deep to be looked into.
    """

    root: str
    names: list[str] = field(default_factory=list)
    signatures: array[int] = field(default_factory=lambda: array("q"))
    bad: list[tuple[str, str]] = field(default_factory=list)
    unseen: int = 0

    def sign(self, number: int, signature: Signature | None) -> None:
        """Set the signature of one record; None is that of no file."""
        self.signatures[4 * number : 4 * number + 4] = array("q", signature or NO_FILE)

    def folders(self) -> list[str]:
        """The folder of each record, whole; a single file for those that lie beside folders."""
        base, names = self.root, self.names
        if names == [RECORD]:
            return [base]
        ending, text = f"/{RECORD}", "\0".join(names)
        if text.count(ending) == text.count(f"{ending}\0") + 1 == len(names):
            # At once: the same thing for every run of a large store. No name of a file holds a zero.
            return f"{base}/{text.removesuffix(ending)}".replace(f"{ending}\0", f"\0{base}/").split("\0")
        return [base if name == RECORD else f"{base}/{name.removesuffix(ending)}" for name in names]


def discover(root: Path | str, *, trusting: bool = False) -> Listing:
    """List every record under `root` with its signature.

    Args:
        root: The folder.
        trusting: Take a folder with a run's name for a run without looking for its record. Saves a look at each for a
            caller that reads all of them anyway, and lists exactly when one cannot be opened.
    """
    listing = Listing(root=str(root))
    _walk(listing, str(root), "", 0, trusting)
    if (own := signature_of_record(root)) is not None:
        # A single run folder was given instead of a store, or a stray copy of a record lies in one, which must not hide
        # the runs of the store. JSON files beside a record are entities.
        if not any(name.endswith(f"/{RECORD}") for name in listing.names):
            listing = Listing(str(root))
        listing.names.append(RECORD)
        listing.signatures.extend(own)
    _refuse_odd_names(listing)
    _sort(listing)
    listing.bad.sort()
    return listing


def _refuse_odd_names(listing: Listing) -> None:
    """Names that are bytes instead of text (folders of old ZIP files) fit into no column: told, and left out."""
    if _is_text("".join(listing.names)) and all(_is_text(name) for name, _ in listing.bad):
        return
    names, signatures = listing.names, listing.signatures
    reason = "its name is not UTF-8; rename it"
    listing.bad = [(_readable(name), told) for name, told in listing.bad]
    listing.bad += [(_readable(n).removesuffix("/metadata.json"), reason) for n in names if not _is_text(n)]
    kept = [i for i, name in enumerate(names) if _is_text(name)]
    listing.names = [names[i] for i in kept]
    listing.signatures = array("q", [v for i in kept for v in signatures[4 * i : 4 * i + 4]])


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", errors="replace")


def _sort(listing: Listing) -> None:
    names, signatures = listing.names, listing.signatures
    if all(map(le, names, islice(names, 1, None))):
        return
    order = sorted(range(len(names)), key=names.__getitem__)
    listing.names = [names[i] for i in order]
    listing.signatures = array("q", [v for i in order for v in signatures[4 * i : 4 * i + 4]])


def signature_of_record(folder: Path | str) -> Signature | None:
    """The signature of the record that lies in a folder itself; None where it is no run folder."""
    try:
        info = os.lstat(os.path.join(str(folder), RECORD))  # noqa: PTH118  hot path
    except OSError:
        return None
    return signature_of(info) if stat.S_ISREG(info.st_mode) else None


def _walk(listing: Listing, folder: str, prefix: str, depth: int, trusting: bool) -> None:
    descend: list[tuple[str, str]] = []
    folders: list[str] = []
    loose: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == "." or name in RESERVED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif name.endswith(".json"):
                    loose.append(name)
                elif entry.is_symlink() and _leads_to_run(f"{folder}/{name}"):
                    listing.bad.append((prefix + name, "it is a link to a run, and links are not followed"))
    except OSError as error:
        listing.bad.append((prefix or ".", f"the folder cannot be listed: {error.strerror or error}"))
        return
    # Sorted here, names come out sorted for a flat store.
    folders.sort()
    for start in range(0, len(folders), _TOGETHER):
        some = folders[start : start + _TOGETHER]
        if trusting or not _all_records(listing, folder, prefix, some):
            _one_by_one(listing, folder, prefix, some, descend, trusting)
    _loose(listing, folder, prefix, loose)
    for path, inner in descend:
        _inner(listing, path, inner, depth, trusting)


_TOGETHER = 250
"""So many folders are asked for their record in one sweep without a step of Python for each; a folder that is none costs
its sweep a second look."""
_MODE = attrgetter("st_mode")
_FACTS = attrgetter("st_mtime_ns", "st_ctime_ns", "st_size", "st_ino")
"""A signature in one step, because this is done for every record at every load; the inode is not cut to size yet."""


def _all_records(listing: Listing, folder: str, prefix: str, folders: list[str]) -> bool:
    """Note the records of folders that all hold one; False, and nothing noted, where one does not."""
    try:
        facts = list(map(os.lstat, [f"{folder}/{name}/metadata.json" for name in folders]))
    except OSError:
        return False
    if not all(map(stat.S_ISREG, set(map(_MODE, facts)))):
        return False
    listing.names.extend([f"{prefix}{name}/metadata.json" for name in folders])
    listing.signatures.extend(_signed(facts))
    return True


def _signed(facts: Sequence[os.stat_result]) -> array[int]:
    """Signatures one after the other."""
    import numpy as np

    signed = array("q")
    try:
        # By way of numpy, which counts a known number of values in half the time.
        flat = np.fromiter(chain.from_iterable(map(_FACTS, facts)), dtype=np.int64, count=4 * len(facts))
        signed.frombytes(flat.tobytes())
    except OverflowError:
        signed.extend(chain.from_iterable(map(signature_of, facts)))
    return signed


def _one_by_one(
    listing: Listing, folder: str, prefix: str, folders: list[str], descend: list[tuple[str, str]], trusting: bool
) -> None:
    names = listing.names
    lstat, regular = os.lstat, stat.S_ISREG
    for name in folders:
        if trusting and _looks_like_run(name):
            names.append(f"{prefix}{name}/metadata.json")
            listing.signatures.extend(NO_FILE)
            continue
        try:
            info = lstat(f"{folder}/{name}/metadata.json")
        except FileNotFoundError:
            descend.append((f"{folder}/{name}", f"{prefix}{name}/"))
            continue
        except OSError as error:
            listing.bad.append((prefix + name, error.strerror or str(error)))
            continue
        if regular(info.st_mode):
            names.append(f"{prefix}{name}/metadata.json")
            listing.signatures.extend(signature_of(info))
        else:
            listing.bad.append((prefix + name, "metadata.json is a link or no regular file"))


def _inner(listing: Listing, path: str, prefix: str, depth: int, trusting: bool) -> None:
    """A folder without metadata.json: a level of an older layout, or a run that never got its first record."""
    before = len(listing.names) + len(listing.bad)
    if depth < MAX_DEPTH:
        _walk(listing, path, prefix, depth + 1, trusting)
    else:
        listing.unseen += 1
    if len(listing.names) + len(listing.bad) == before and _looks_like_run(prefix.rstrip("/").rsplit("/", 1)[-1]):
        listing.bad.append((prefix.rstrip("/"), "the run folder has no metadata.json"))


def _leads_to_run(path: str) -> bool:
    """A link to the folder of a run: not followed, but told, because a run is missing where somebody linked it."""
    return os.path.lexists(f"{path}/{RECORD}")


def _looks_like_run(name: str) -> bool:
    return name.startswith("run_") or (len(name) == 36 and name.count("-") == 4)


def _loose(listing: Listing, folder: str, prefix: str, names: list[str]) -> None:
    """JSON files beside run folders that are records themselves: tracker files and exported sessions."""
    for name in names:
        path = f"{folder}/{name}"
        try:
            info = os.lstat(path)
        except OSError:
            continue  # gone since the folder was listed
        if not stat.S_ISREG(info.st_mode) or name == "metadata.json":
            continue
        if name.startswith("exec_") or (info.st_size <= _LOOSE_BYTES and _is_session(path)):
            listing.names.append(prefix + name)
            listing.signatures.extend(signature_of(info))


def _is_session(path: str) -> bool:
    try:
        data, _ = read_bytes(path)
        if b'"session_id"' not in data or b'"workflow_name"' not in data:
            return False
        value = parse(data)
    except Unreadable:
        return False
    return isinstance(value, dict) and "session_id" in value and "workflow_name" in value
