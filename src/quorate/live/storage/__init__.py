"""What a live member keeps on its disk: bytes in, and after any crash the same bytes out.

files      the few calls on the operating system, for which tests put a simulated disk
segment    how the journal's files are written: headers, records, and what a bad one means
recovery   what a directory holds after a crash, or why it must not be used
journal    the append-only log of durable records, and its checkpoints
blobs      large values under a name
offsets    how far each file is written and synced, told to whoever outlives the process
power_cut  what a power cut would have left, played on the files of a dead member
"""
