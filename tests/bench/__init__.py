"""`make bench`: what a request and a relist cost, side by side with what they are compared to."""
