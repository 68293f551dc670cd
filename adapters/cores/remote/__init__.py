"""A core bank behind HTTP: the client that the gateway uses, and the server that puts any core behind the same wire."""
