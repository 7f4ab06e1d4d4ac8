"""Clinical definitions: joints, Ratingen grade, Rau score, DAS28 and EULAR response. Pure functions of numbers."""
