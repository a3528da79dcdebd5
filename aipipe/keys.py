"""Keys of services: from the environment, else from the system's keyring. They are never recorded."""

from __future__ import annotations

import importlib
import os

SERVICE = "aipipe"
"""Service name of the entries in the keyring."""


def find_key(name: str) -> str:
    """The key called `name`.

    Args:
        name: An environment variable; where it is not set, the entry of this name in the keyring, if the package
            `keyring` is installed.

    Returns:
        The key, or "" when there is none.
    """
    if not name:
        return ""
    return os.environ.get(name, "") or _from_keyring(name)


def key_hint(name: str) -> str:
    """How to set the key called `name`."""
    return f"export {name}=…, or store it once: pip install keyring, then keyring set {SERVICE} {name}"


def _from_keyring(name: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
        found = keyring.get_password(SERVICE, name)
    except Exception:  # noqa: BLE001  a locked or missing keyring has many errors of its own, and all mean: no key
        return ""
    return found if isinstance(found, str) else ""
