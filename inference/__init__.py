"""From raw input to named answers: what predict, export and the server share."""
