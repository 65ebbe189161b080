"""What every HTTP surface shares: problem documents, health routes, forwarded headers, bounded uvicorn protocols."""
