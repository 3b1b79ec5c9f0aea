"""The record of a lab as pages, pictures and reviews; they draw what `results` says, and compute nothing themselves."""
