"""Pages for people who look at results: batches, rows, one scan with its image, and reviews.

The only room that knows Starlette and uvicorn. Reads the ledger, and writes nothing but reviews.
"""
