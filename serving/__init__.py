"""The HTTP and gRPC server of exported models."""
