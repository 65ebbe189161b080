"""The kinds of chatbots that talk to something outside, against real servers, well-behaved and otherwise."""
