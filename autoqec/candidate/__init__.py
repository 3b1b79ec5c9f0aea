"""The thing searched: a pipeline of stages as files, compiled to torch or to plain inference, its cost counted."""
