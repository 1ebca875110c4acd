"""Table rows: column types, reading and the preprocessing layer."""
