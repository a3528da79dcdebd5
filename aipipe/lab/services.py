"""Backends, runners and checkers of one lab, built once when first needed."""

from __future__ import annotations

import threading

from aipipe import backends, runners
from aipipe.backends.base import Backend, Timeouts
from aipipe.errors import Refused, UnknownName
from aipipe.image_safety import ImageChecker
from aipipe.language import Language, detect
from aipipe.runners.base import Runner
from aipipe.safety import Checker
from aipipe.settings import Settings


class LabServices:
    """The services of the settings, by name. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.checker = Checker(settings)
        self.image_checker = ImageChecker(settings, self.backend)
        limits = settings.limits
        self.timeouts = Timeouts(limits.connect_seconds, limits.silence_seconds, limits.total_seconds)
        self._lock = threading.RLock()
        self._backends: dict[str, Backend] = {}
        self._runners: dict[str, Runner] = {}

    def backend(self, name: str) -> Backend:
        """The language model backend called `name`.

        Raises:
            UnknownName: no such entry under [backends].
            Refused: its host is not local and `cloud = false`.
        """
        with self._lock:
            if name not in self._backends:
                if name not in self.settings.backends:
                    raise UnknownName("language model backend", name, self.settings.backends)
                settings = self.settings.backends[name]
                local = not settings.url or self.settings.is_local(settings.url)
                self._allow(name, settings.url, local=local)
                self._backends[name] = backends.build(name, settings, local=local)
            return self._backends[name]

    def runner(self, name: str) -> Runner:
        """The media generator called `name`.

        Raises:
            UnknownName: no such entry under [runners].
            Refused: one of its hosts is not local and `cloud = false`.
        """
        with self._lock:
            if name not in self._runners:
                if name not in self.settings.runners:
                    raise UnknownName("media generator", name, self.settings.runners)
                settings = self.settings.runners[name]
                urls = [*settings.urls, *([settings.url] if settings.url else [])]
                local = all(self.settings.is_local(url) for url in urls)
                self._allow(name, ", ".join(urls), local=local)
                self._runners[name] = runners.build(name, settings, local=local)
            return self._runners[name]

    def detect(self, text: str) -> Language:
        """The language of `text`."""
        return detect(text)

    def close(self) -> None:
        """Release all connections; the services build themselves again when needed."""
        with self._lock:
            for backend in self._backends.values():
                backend.close()
            for runner in self._runners.values():
                runner.close()
            self._backends.clear()
            self._runners.clear()

    def _allow(self, name: str, url: str, *, local: bool) -> None:
        if not local and not self.settings.cloud:
            raise Refused(
                f"{name!r} at {url} is not on this machine, and the settings say cloud = false.",
                hint="Add its host to trusted_hosts in aipipe.toml, or choose a local mode.",
            )
