"""Pictures of the dashboards with real data: ``python -m grafana.preview`` makes them."""
