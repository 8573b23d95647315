"""Prefect flows. They only orchestrate what `ingestion` can do."""
