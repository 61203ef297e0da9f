"""Elbow's benchmark: one room per noun, put together by `bench/run`."""
