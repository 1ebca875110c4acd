"""The REST interface: protocol limits, JSON codec, routes and the web page."""
