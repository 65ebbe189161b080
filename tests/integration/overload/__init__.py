"""More load than there is capacity, and clients that do not play along: one abuser harms himself alone (P6)."""
