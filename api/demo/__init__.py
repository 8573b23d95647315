"""The demonstration: a film with speech and a few documents go in, questions come out answered with moments."""
