"""One message of a conversation with a language model: what rendering makes and backends send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `images` are encoded image files for vision models."""

    role: Role
    content: str
    images: tuple[bytes, ...] = ()
