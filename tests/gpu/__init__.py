"""Tests that need a graphics card; `make gpu` collects them, and they skip with a sentence where there is none."""
