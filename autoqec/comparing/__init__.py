"""Any decoders on any circuit: named, run in processes of their own, on the same fresh shots, and compared."""
