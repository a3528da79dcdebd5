"""aipipe.testing."""
