"""aipipe.batch."""
