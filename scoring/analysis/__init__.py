"""Tables made of the scores: Rau per film and visit, and the relation of joint damage to disease activity."""
