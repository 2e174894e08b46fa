"""The ground: errors, arrays, draws, devices, files, hashes, progress, studies. No science."""
