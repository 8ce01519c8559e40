"""The demonstration: a proxy with routes/demo.py, a load, what the queue did, and a restart that loses nothing."""
