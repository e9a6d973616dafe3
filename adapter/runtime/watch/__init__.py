"""Keeps the names and labels of a cluster's objects, so that no request needs a LIST."""
