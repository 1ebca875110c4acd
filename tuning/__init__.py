"""Search over the fields of an app."""
