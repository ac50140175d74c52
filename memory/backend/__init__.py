"""Where memory is kept: one protocol over the embedded Qdrant engine and over a Qdrant server."""
