"""Delimited text files and the meaning of their cells."""
