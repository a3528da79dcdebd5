"""aipipe.engine."""
