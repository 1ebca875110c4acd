"""From a run to answers: predictions, export and its proof."""
