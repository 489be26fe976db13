"""What the structure of the library measures, so that two states of it can be compared.

``python -m tests.structure.measure`` prints a table in Markdown; ``--json`` the same for a machine,
``--repo DIR`` measures another checkout (with its own ``.venv``, where there is one), and
``--against FILE.json`` prints both side by side. ``python -m tests.structure.report_long_files``
lists long files; it refuses none.

`source` reads syntax trees and runs nothing; `probe` runs one consumer on an embedded server and
counts its calls. Both find what they measure by what it does and not by the names of modules, so
that they go on working when those change.
"""
