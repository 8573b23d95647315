"""Media: stored by content, opened safely, decoded in a limited child."""
