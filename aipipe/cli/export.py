"""`aipipe export` and `aipipe import`: packages of runs for others, and runs of older systems."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from aipipe.cli.output import add_json, add_runs, print_json

_WHICH = """Which profile?
  --public (default)   for anyone: only runs with the label consent=yes, no embargo and no exclusion; fresh
                       pseudonyms and run ids; days instead of times (--times exact keeps them); media without
                       metadata; no provenance, exchanges, ratings or notebooks; texts that may name a person are
                       left out until you approve or redact them (--review writes the list; in it, set
                       "approved" to true or "redacted" to the text to publish; --approve reads it back).
                       Media made from a redacted text or a person's picture may show it: they go out once
                       "pictures_seen" is true.
  --private            for yourself or a colleague who may see everything: a plain copy with tables and a manifest.

Which layout?
  folder (default)     runs/ and tables; aipipe loads it again; a page that opens by double click; RO-Crate.
  images               the pictures with metadata.csv, as image data sets are read (ImageFolder).
  qda                  one text file per recorded text with attributes.csv, for MAXQDA, ATLAS.ti, NVivo, QualCoder.
  zenodo               one ZIP beside datasheet, codebook, citation and the fields of a deposit."""


def add_parser(subparsers: Any) -> None:
    """Add both commands."""
    parser = subparsers.add_parser(
        "export",
        help="package runs for others",
        description="Package runs for others.",
        epilog=_WHICH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", help="a new folder, or a file ending in .zip")
    profile = parser.add_mutually_exclusive_group()
    profile.add_argument("--public", dest="profile", action="store_const", const="public", help="the default")
    profile.add_argument("--private", dest="profile", action="store_const", const="private", help="everything")
    parser.set_defaults(profile="public", handler=_export)
    parser.add_argument("--where", help="only runs that fulfil this condition")
    parser.add_argument("--format", default="csv,jsonl", help="tables: csv, jsonl, parquet (default: csv,jsonl)")
    parser.add_argument(
        "--times",
        default="day",
        choices=["day", "exact"],
        help="times of a public export: day and order alone (default), or exact",
    )
    parser.add_argument("--layout", default="folder", help="folder, images, qda or zenodo (default: folder)")
    parser.add_argument("--keep-label", action="append", default=[], metavar="KEY", help="publish this label")
    parser.add_argument("--review", metavar="FILE", help="write the texts that a person must read to this JSON file")
    parser.add_argument("--approve", metavar="FILE", help="a review file with approved or redacted entries")
    parser.add_argument("--creator", default="", help="name for CITATION.cff")
    parser.add_argument("--licence", default="", help="licence of the data (SPDX id)")
    add_runs(parser)
    add_json(parser)
    importing = subparsers.add_parser("import", help="convert runs of older systems, once; the source is only read")
    importing.add_argument(
        "source", help="folder of the older system, or of images, sound and film with embedded graphs"
    )
    importing.add_argument("--timezone", help="zone of the source's times, for example Europe/Berlin")
    add_runs(importing)
    add_json(importing)
    importing.set_defaults(handler=_import)


def _export(arguments: argparse.Namespace) -> int:
    from aipipe.analysis.export.package import export

    decisions = _decisions(arguments.approve)
    report = export(
        arguments.runs,
        arguments.out,
        profile=arguments.profile,
        where=arguments.where,
        **decisions,
        keep_labels=arguments.keep_label,
        formats=[f.strip() for f in arguments.format.split(",")],
        creator=arguments.creator,
        licence=arguments.licence,
        layout=arguments.layout,
        times=arguments.times,
    )
    if arguments.review:
        Path(arguments.review).write_text(
            json.dumps(
                [{**e, "approved": False, "redacted": None, "pictures_seen": False} for e in report.review],
                ensure_ascii=False,
                indent=2,
            ),
            encoding="utf-8",
        )
    if arguments.json:
        print_json(report.as_dict())
    else:
        print(report)
    return 0


def _decisions(path: str | None) -> dict[str, Any]:
    """What a person decided in a review file, by the hash of each text, as arguments of `export`."""
    from aipipe.errors import UsageError

    if path is None:
        return {}
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            "approved": {str(e["sha256"]) for e in entries if e.get("approved") is True},
            "redacted": {str(e["sha256"]): e["redacted"] for e in entries if isinstance(e.get("redacted"), str)},
            "pictures_seen": {str(e["sha256"]) for e in entries if e.get("pictures_seen") is True},
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is no review file: {error}",
            hint='Take the file of --review; write "approved": true, or what to publish instead as "redacted": "…".',
        ) from None


def _import(arguments: argparse.Namespace) -> int:
    from aipipe.analysis.importing import import_runs
    from aipipe.cli.runs import open_store

    report = import_runs(arguments.source, open_store(arguments), timezone=arguments.timezone)
    if arguments.json:
        print_json(report.as_dict())
    else:
        print(report)
    return 1 if report.skipped else 0
