"""Rounds outside the lab: as sinter decoders, as a folder that anyone can load, as ONNX."""
