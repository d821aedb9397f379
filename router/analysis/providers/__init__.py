"""Where measured values come from: one module for each provider, the only impure part.

registry        every provider by its kind: `Providers`
router          what the router itself counted
shadow          what the comparisons of a shadow tell
prometheus web  other systems
http            their requests, bounded and silent about credentials
authentication  how they prove who they are
settings        how their settings are read, and what is said about them
jsonpath        a value's place in a document
base            the port
"""
