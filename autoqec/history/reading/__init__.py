"""Reading the record as plain values: one listing of refs, one walk per notes tree."""
