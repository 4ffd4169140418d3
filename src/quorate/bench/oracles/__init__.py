"""Small systems whose numbers of states others have published: what an explorer is held to.

Each is a `Node` class with a scenario, explored by the same `explore` that everybody calls. Where
a model lets something happen by itself, here a timer is pending whenever that is enabled.
"""
