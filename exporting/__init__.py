"""From a run to an exported version: SavedModel, LiteRT, ONNX, and the parity check."""
