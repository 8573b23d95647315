"""The content agent: writing of a wanted kind, length and style, measured, and cited where there are sources."""
