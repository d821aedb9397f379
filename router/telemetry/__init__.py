"""What is counted, how workers' counts become one, and how Prometheus reads them."""
