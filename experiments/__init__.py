"""One question each, answered in numbers: `python -m experiments NAME`."""
