"""A text becomes ids, ids become batches."""
