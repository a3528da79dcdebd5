"""aipipe.comfy."""
