"""What a link that does not let in answers: a person's browser gets a page with the next step, a program JSON.

The page holds nothing of the request, so nothing in an address can act on it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response


@dataclass(frozen=True)
class Refusal:
    """Why a link does not let in.

    Attributes:
        status: HTTP status.
        error: What a program is told.
        hint: Its next step.
        type: Kind of the error.
        english: Heading of the page, then its sentences.
        german: The same in German.
    """

    status: int
    error: str
    hint: str
    type: str
    english: tuple[str, ...]
    german: tuple[str, ...]


USED_LINK = Refusal(
    403,
    "This link was used already, or is too old.",
    "Ask for a new one: POST /api/links as operator, or restart aipipe serve.",
    "Refused",
    (
        "This link no longer works",
        "Such a link lets one browser in, once, within a quarter of an hour.",
        "Ask whoever runs this server for a new one. If that is you: start aipipe serve again, it shows a new link.",
    ),
    (
        "Dieser Link gilt nicht mehr",
        "So ein Link lässt einen Browser ein, einmal und innerhalb einer Viertelstunde.",
        "Bitte wer diesen Server betreibt um einen neuen Link. Bist du das selbst: starte aipipe serve neu, es zeigt einen neuen Link.",
    ),
)
WRONG_CODE = Refusal(
    403,
    "This code is wrong.",
    "Ask for the link again.",
    "Refused",
    (
        "This link does not lead in",
        "Its code is wrong: a part may be missing, or the server was started anew since and has another one.",
        "Ask whoever invited you for the link, and open or scan all of it.",
    ),
    (
        "Dieser Link führt nicht hinein",
        "Sein Code stimmt nicht: vielleicht fehlt ein Stück, oder der Server wurde neu gestartet und hat nun einen anderen.",
        "Bitte wer dich eingeladen hat noch einmal um den Link und öffne oder scanne ihn ganz.",
    ),
)
WRONG_RATING_LINK = Refusal(
    404,
    "There is nothing to rate here.",
    "Ask for the link again.",
    "EntityNotFound",
    (
        "There is nothing to rate here",
        "A part of the link may be missing, or the server was started anew since and has other links.",
        "Ask whoever runs the study for your link. What you have answered so far is kept.",
    ),
    (
        "Hier gibt es nichts zu bewerten",
        "Vielleicht fehlt ein Stück vom Link, oder der Server wurde neu gestartet und hat nun andere Links.",
        "Bitte wer die Studie leitet um deinen Link. Was du schon beantwortet hast, ist gespeichert.",
    ),
)
_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading}</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/app.css">
</head>
<body>
<main class="letter">
<h1>{heading}</h1>
{sentences}
</main>
</body>
</html>
"""


def no_entry(request: Request, refusal: Refusal) -> Response:
    """The answer: a page where a browser asks, JSON for everybody else."""
    headers = {"vary": "accept, accept-language"}
    if not _wants_page(request.headers.get("accept", "")):
        body = {"status": "error", "error": refusal.error, "type": refusal.type, "hint": refusal.hint}
        return JSONResponse(body, status_code=refusal.status, headers=headers)
    language = "de" if prefers_german(request.headers.get("accept-language", "")) else "en"
    heading, *sentences = refusal.german if language == "de" else refusal.english
    page = _PAGE.format(
        language=language,
        heading=html.escape(heading),
        sentences="\n".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences),
    )
    return HTMLResponse(page, status_code=refusal.status, headers={**headers, "content-language": language})


def _wants_page(accept: str) -> bool:
    """Browsers name HTML first; a program that takes anything wants JSON."""
    return accept.lower().lstrip().startswith(("text/html", "application/xhtml+xml"))


def prefers_german(accept_language: str) -> bool:
    """True where German is asked for before English, whatever else is asked for."""
    best = ("en", 0.0)
    for part in accept_language[:500].lower().split(","):
        name, _, given = part.replace(" ", "").partition(";q=")
        weight = float(given) if re.fullmatch(r"[01](\.\d{0,3})?", given) else 0.0 if given else 1.0
        # Of two that weigh the same the first counts: browsers write them in that order.
        if (language := name.partition("-")[0]) in ("de", "en") and weight > best[1]:
            best = (language, weight)
    return best[0] == "de"
