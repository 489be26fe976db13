"""Load tests: what Streamix Queue costs, measured beside a bare redis-py loop and its peers.

``python -m load`` lists the scenarios; ``load/README.md`` has the results.
"""
