"""Text safety: terms, a model's verdict, evidence. Fails closed."""

from __future__ import annotations

from aipipe.safety.checker import Checker
from aipipe.safety.policy import POLICY
from aipipe.safety.terms import Hit, Terms
from aipipe.safety.verdict import Verdict

__all__ = ["POLICY", "Checker", "Hit", "Terms", "Verdict"]
