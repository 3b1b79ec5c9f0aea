"""Git objects, refs and locks: what everything else in the record is built on."""
