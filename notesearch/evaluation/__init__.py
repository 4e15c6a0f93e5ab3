"""How good the search is: collections with judgements, measures, comparisons, reports."""
