"""Tables made of the scores: Rau per radiograph and visit, and the relation of joint damage to disease activity."""
