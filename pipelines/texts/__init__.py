"""Texts with classes: reading and the text preprocessing layer."""
