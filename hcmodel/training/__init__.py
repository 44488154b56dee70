"""Everything that makes and judges weights; never needed to measure."""
