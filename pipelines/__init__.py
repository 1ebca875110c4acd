"""Data pipelines: a data address is read into splits, and splits are turned into batches."""
