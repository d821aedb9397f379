"""What a request costs in each proxy, measured side by side in one run (`make bench`).

Words:
  cell      one kind of load: a request body of 1 KB, 50 KB or 1 MB answered with 600 B
            of JSON, or 64 server-sent event streams
  proxy     what is measured: nginx, the router's two doors; more can join (`proxies.py`)
  direct    the same load without a proxy: the floor of latency, the ceiling of the load
  slice     one short piece of one cell against one proxy; the proxies take turns, slice
            by slice, so that a noisy second on a shared machine hits all of them alike
  CPU-µs    user + system time of the proxy's whole process tree in a slice, divided by
            the requests (or streamed chunks) of that slice

The proxy has one core for itself; upstream, load and this program share the other.
Nothing here is a timed test: figures are printed, not asserted.
"""
