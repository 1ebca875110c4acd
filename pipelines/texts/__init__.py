"""Texts with classes: reading, groups of overlapping texts, and the preprocessing layer."""
