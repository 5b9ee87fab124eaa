// Owns: nothing yet.
