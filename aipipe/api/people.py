"""Who asks: the operator, a visitor of a locked server, or nobody.

Cookies are signed with a key made from the server's token, so that a visitor keeps their runs when the server starts
again with the same token. A visitor's pseudonym is a hash of a secret only their device knows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

OPERATOR_COOKIE = "aipipe_operator"
VISITOR_COOKIE = "aipipe_visitor"
COOKIE_SECONDS = 30 * 24 * 3600
LINK_SECONDS = 15 * 60
_COOKIE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes:
        role: "operator" or "visitor".
        user_id: Recorded as the run's account; a pseudonym for visitors, "" for the operator.
    """

    role: str
    user_id: str = ""

    @property
    def is_operator(self) -> bool:
        """True for whoever runs the server."""
        return self.role == "operator"


OPERATOR = Person("operator")


class Access:
    """Tokens, one-time links and signed cookies of one server.

    Args:
        token: Secret of the operator; None only for an open server on loopback.
        locked: Visitors may enter, and see their own runs only.
        loopback: The server is only reachable from its own machine; visitors then need no code.
    """

    def __init__(self, token: str | None, *, locked: bool, loopback: bool) -> None:
        self.token = token if token or (loopback and not locked) else secrets.token_urlsafe(24)
        self.locked = locked
        self.visitors_enter_freely = locked and loopback
        self._key = hashlib.sha256(b"aipipe cookies " + (self.token or secrets.token_hex()).encode()).digest()
        self.join_code = self._sign("join")[:16] if locked else ""
        self._links: dict[str, float] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Access {'open' if self.token is None else 'by token'}{' locked' if self.locked else ''}>"

    def identify(self, headers: Mapping[str, str]) -> Person | None:
        """The person behind a request's headers (names in lower case), or None."""
        if self.token is None:
            return OPERATOR
        given = headers.get("x-aipipe-token", "")
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = given or value.strip()
        if given:
            return OPERATOR if _equal(given, self.token) else None
        cookies = _cookies(headers.get("cookie", ""))
        expires = self._verified("operator", cookies.get(OPERATOR_COOKIE, ""))
        if expires is not None and expires.isdigit() and int(expires) > time.time():
            return OPERATOR
        secret = self._verified("visitor", cookies.get(VISITOR_COOKIE, "")) if self.locked else None
        return Person("visitor", _pseudonym(secret)) if secret is not None else None

    def new_link(self) -> str:
        """A key that lets one browser in as operator, once, within a quarter of an hour."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            now = time.monotonic()
            self._links = {k: t for k, t in self._links.items() if t > now}
            self._links[key] = now + LINK_SECONDS
        return key

    def redeem(self, key: str) -> str | None:
        """The operator's cookie for a one-time key; None when it is unknown, used or too old."""
        with self._lock:
            expires = self._links.pop(key, 0.0)
        if expires < time.monotonic():
            return None
        return self._signed("operator", str(int(time.time()) + COOKIE_SECONDS))

    def join(self, code: str) -> str | None:
        """A new visitor's cookie for the code that all visitors share; None when it is wrong."""
        if not self.locked or not (self.visitors_enter_freely or _equal(code, self.join_code)):
            return None
        return self._signed("visitor", secrets.token_urlsafe(24))

    def rating_key(self, task: str, rater: str) -> str:
        """The key in a rater's link: opens one task for one rater."""
        return self._sign(f"rating:{task}:{rater}")[:32]

    def is_rating_key(self, task: str, rater: str, key: str) -> bool:
        """True for the key of this task and rater."""
        return _equal(key, self.rating_key(task, rater))

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _signed(self, role: str, value: str) -> str:
        return f"{value}.{self._sign(f'{role}:{value}')}"

    def _verified(self, role: str, cookie: str) -> str | None:
        match = _COOKIE.fullmatch(cookie)
        if match is None or not _equal(match[2], self._sign(f"{role}:{match[1]}")):
            return None
        return match[1]


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _pseudonym(secret: str) -> str:
    return "visitor-" + hashlib.sha256(b"aipipe visitor " + secret.encode()).hexdigest()[:16]


class Buckets:
    """A rate limit per caller: `burst` at once, then `rate` a second (token bucket)."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Take one; 0.0 when allowed, else the seconds until it will be."""
        now = time.monotonic()
        with self._lock:
            if len(self._levels) > 10_000:
                self._levels = {k: v for k, v in self._levels.items() if now - v[1] < self.burst / self.rate}
            level, then = self._levels.get(caller, (self.burst, now))
            level = min(self.burst, level + (now - then) * self.rate)
            if level < 1:
                self._levels[caller] = (level, now)
                return (1 - level) / self.rate
            self._levels[caller] = (level - 1, now)
            return 0.0
