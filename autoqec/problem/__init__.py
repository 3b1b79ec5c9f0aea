"""The decoding problem: environments, circuits, error models, the graphs they compile to, and seeded shots."""
