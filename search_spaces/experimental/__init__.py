"""Ideas that nobody has published a recipe for: nothing else may rest on them, and they may go as they came.

A study file uses one as it uses code of its user's own, by its import path:
`method: search_spaces.experimental.similar_exits:SimilarExits`. What they are worth so far is in docs/experimental.md.
"""
