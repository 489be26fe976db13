"""Telemetry of Streamix Queue: what turns the facts of the core into log lines."""
