"""The report of a run, by which a person decides: a page, a model card and JSON."""
