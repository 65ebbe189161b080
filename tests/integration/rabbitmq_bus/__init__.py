"""The RabbitMQ bus against a real node: order, loss, refusals, crashes, freezes."""
