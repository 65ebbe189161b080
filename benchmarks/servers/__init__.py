"""What Backchat is measured against: two baselines, and an echo that shows the generator's own ceiling."""
