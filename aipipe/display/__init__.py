"""aipipe.display."""
