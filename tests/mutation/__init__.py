"""Mutation testing: does a test fail if a line that decides a number is changed?"""
