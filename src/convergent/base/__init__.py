"""Foundations: errors, arrays, random draws, devices, files, hashes, progress, studies."""
