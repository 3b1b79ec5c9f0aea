"""Exports of rounds: as sinter decoders, as a self-contained folder, as ONNX."""
