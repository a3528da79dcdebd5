"""The embedded language model: a small real model in a child process, shared by all runs of this user."""
