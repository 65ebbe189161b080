"""The RabbitMQ bus on a real broker node: order, losses, refusals, crashes, freezes."""
