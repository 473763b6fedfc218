"""The model: what a walk collected, as a Model that is as simple as it can be.

`assemble` makes it; the others make less of it: cells that were written out (`cells`, `sums`), several that are one
(`chains`), states cut up (`parts`), what is computed twice (`twins`) or for nobody (`simplify`).
"""
