"""aipipe.cli."""
