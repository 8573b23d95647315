"""Watching while it happens: frames and sound that are pushed, and alerts on conditions given in words."""
