"""What watches a run: pictures, run record, exact resume, diagnostics, baselines."""
