"""aipipe.analysis."""
