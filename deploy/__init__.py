"""What it takes to run the composed stack: one script of ours, and the configuration of what is not ours."""
