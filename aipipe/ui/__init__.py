"""aipipe.ui."""
