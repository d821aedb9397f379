"""Tell what a series of comparisons says of a shadow.  Pure.

pair         one request that the stable version and the shadow have answered
twin         the stable version's second answer to a pair's request
noise        how often the stable version's two answers differ: what no shadow can be blamed for
beyond       how much more often the shadow differs than the twin does, in the same pairs
tally        the sums of one stable version and one shadow
report       what the sums say, in numbers and in sentences

The methods, and what they do not tell: docs/evaluation-method.md.
"""
