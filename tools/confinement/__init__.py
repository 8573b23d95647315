"""Walls around one command, from the standard library alone.

A warden, started once and small, forks a keeper for each run. The keeper makes a mount namespace with a memory file
system for the run, drops to the run's own user id, and starts bubblewrap, in which `inside` closes the last doors and
becomes the command. Nothing here imports a package, so that a fork costs a millisecond and holds nobody's secrets.
"""
