"""Which option of `autoqec compare` takes a file, by the file's ending: people name such files among the decoders."""

FILE_OPTIONS = {".stim": "--circuit", ".dem": "--dem"}
