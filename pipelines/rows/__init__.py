"""Table rows: column types and their preprocessing layer."""
