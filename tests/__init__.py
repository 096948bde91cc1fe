"""Tests of Interlock; each folder's README or opening line says what it shows."""
