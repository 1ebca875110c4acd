"""From raw input to named outputs: the code that predict, export and the server share."""
