"""The contamination ledger: what weights have seen before they are tested, and what a method is given at test time.

facts      one entry, with what is not stated; what is declared from outside is checked
reading    sets.toml, networks.toml, methods.toml, rows.toml
classes    the classes of data sets by name, and which of them a training set has labels of
seen       which test classes were seen, and how they were labelled
words      entries as short texts
"""
