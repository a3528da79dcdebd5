"""aipipe.runners."""
