"""Where an engine runs: in a thread, in a child process, or behind a server of its own."""
