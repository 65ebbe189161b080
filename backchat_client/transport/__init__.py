"""Everything that reaches the server: accounts over HTTP, and a Socket.IO connection that is kept up."""
