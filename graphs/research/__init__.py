"""The research agent: seeks, reads, quotes, compares and reports; what was not read is not cited."""
