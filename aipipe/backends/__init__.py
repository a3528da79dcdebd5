"""aipipe.backends."""
