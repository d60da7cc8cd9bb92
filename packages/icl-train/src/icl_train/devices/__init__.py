"""Where a run computes: mesh, sharding, hosts, compilation cache, debugging and profiles."""
