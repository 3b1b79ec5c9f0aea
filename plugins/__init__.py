"""The first-party plugins, shipped as `autoqec_plugins` and found by entry points like third-party plugins."""
