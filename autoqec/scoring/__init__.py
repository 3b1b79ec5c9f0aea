"""The judge: shot streams, paired counts, the statistics of a verdict, and the Pareto front. No torch, no candidate code."""
