"""aipipe.api."""
