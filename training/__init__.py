"""Training: from an app to a run directory."""
