"""`nas depth`: which depth is best, answered in five ways that need not agree.

The first three are those of the question that this project began with (A. Rivero, ai.stackexchange.com, 2022, "number
of layers as a parameter"); the fourth is how DARTS-PT judges an operation (Wang et al., ICLR 2021, arXiv 2108.04392);
the fifth is for methods whose weights are probabilities. `docs/depth.md` tells how to read them.
"""
