"""The coding agent: writes, reviews, documents and tests code, and shows what ran."""
