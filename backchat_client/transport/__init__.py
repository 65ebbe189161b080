"""All I/O with the server: accounts over HTTP, and a Socket.IO connection that is reopened when it is lost."""
