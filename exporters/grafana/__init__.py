"""Dashboards, alert rules and what else Prometheus and Grafana need; ``gameday dashboards`` writes them out.

The dashboards are made by ``python -m exporters.grafana.make`` (grafana-foundation-sdk, a development tool).
"""
