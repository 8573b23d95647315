"""Media and documents into segments: probe, decode, cut, listen, look, read."""
