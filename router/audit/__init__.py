"""Who changed what, when and why, in a chain that cannot be edited unnoticed.  Pure.

entry   the values
chain   gives entries their places, and verifies them
"""
