"""How data flows: addresses become splits, splits become batches."""
