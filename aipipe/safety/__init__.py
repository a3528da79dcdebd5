"""aipipe.safety."""
