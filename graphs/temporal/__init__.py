"""The temporal agent: questions about what was said, shown, written or seen, and when."""
