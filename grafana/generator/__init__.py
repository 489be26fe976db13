"""The dashboards as code: ``python -m grafana.generator`` writes the JSON in ``dashboards/``."""
