"""`streamix top`: rates, lags and members, on a screen that refreshes."""
