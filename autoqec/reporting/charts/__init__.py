"""Charts of a lab's record: figures from typed records, with the numbers that they show as rows of a table."""
