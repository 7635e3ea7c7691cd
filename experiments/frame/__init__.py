"""What the experiments share: corpora, models, a grid of cells, comparisons and the page."""
