"""Whether data can be trusted: what is wrong with them before anything is trained."""
