"""One of four endpoints breaks at random for minutes, under load: `make chaos`.

Glossary:
    endpoint   a mock engine; `faulty` is the one that the fault proxy stands before
    ask        one request of the load: chat (one answer), echo (a body of kilobytes), stream
    came       what came back for an ask, byte by byte, and whether it was whole
    end        what an ask came to: own answer, error of the router, broken when begun, or wrong
    rest       what processes hold when nothing runs: compared before and after the load
    verdict    one bar, what was found, and whether the run kept to it

The answer to each ask is checked to be its own: the engine repeats the model's name, which is
another one in each ask, and names itself (`x-mock-engine`).  Whatever is not on the list of ends
that are allowed is a failure.
"""
