"""What Puna costs above its limits, as ratios measured side by side in one run."""
