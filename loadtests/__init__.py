"""Load tests: the side-by-side bench of proxies (`bench`) and Locust scenarios."""
