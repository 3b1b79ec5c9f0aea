"""The decoding problem: environments, circuits, error models, Tanner and matching graphs, and seeded shots."""
