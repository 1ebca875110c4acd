"""Classification of small images."""
