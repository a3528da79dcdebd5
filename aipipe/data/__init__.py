"""aipipe.data."""
