"""Signatures, inputs and predictions of each modality."""
