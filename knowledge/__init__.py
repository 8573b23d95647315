"""What is remembered: segments in time, the collections that hold them, and how they are found again."""
