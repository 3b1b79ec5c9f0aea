"""The first-party plugins, shipped as `autoqec_plugins`; each is found by its entry point, as a third party's is."""
