"""The networks: one file each, all behind the same call."""
