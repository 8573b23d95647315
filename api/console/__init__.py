"""The console: the web UI at `/`, in Python, served by the same app."""
