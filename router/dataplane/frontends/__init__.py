"""The doors: two ways for requests to come in, one exchange behind them."""
