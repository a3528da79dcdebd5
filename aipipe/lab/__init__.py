"""aipipe.lab."""
