"""Operating the composed stack: the secrets script, and configuration of PostgreSQL, RabbitMQ, Caddy and Prometheus."""
