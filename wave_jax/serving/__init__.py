"""The exported file, and who answers from it."""
