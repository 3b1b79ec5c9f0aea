"""Git objects, refs and locks: the base layer of the record."""
