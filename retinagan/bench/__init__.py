"""How long the steps of a picture take on this machine: what ``retinagan bench`` measures and how it is told."""
