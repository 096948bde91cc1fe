"""Rego about calls at the gateway: modules evaluated in a process of their own, and OPA servers that are asked.

What any of them answers becomes findings (`findings.py`), which can only tighten; whatever goes wrong on the way is a
finding of error, so a denial.
"""
