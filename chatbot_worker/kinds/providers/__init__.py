"""HTTP clients of the servers that chatbots run on: bounded responses, chat completions, language models."""
