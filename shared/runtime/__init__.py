"""The runtime: how a service becomes a process, and what every process has: settings, logs, metrics, health."""
