"""Output for people and scripts: tables, JSON lines, progress. Only this room prints; it computes no science."""
