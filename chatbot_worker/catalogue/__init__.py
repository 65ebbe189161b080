"""The catalogue: reads and validates the TOML file of the chatbots, or the built-in list, and creates each chatbot."""
