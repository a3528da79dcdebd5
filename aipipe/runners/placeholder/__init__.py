"""Placeholders: small real pictures, sounds and clips from the prompt's hash, for tests and offline notebooks.

They need nothing but the standard library and a few milliseconds, and every record says what they are. So each kind
of config can be tried, and each kind of medium shown, without a server.
"""

from aipipe.runners.placeholder.runner import PlaceholderRunner

__all__ = ["PlaceholderRunner"]
