"""Turn texts into ids, and ids into batches."""
