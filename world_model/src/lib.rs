//! JEPA world models: encoders, predictors, losses, training, checkpoints, probes, the fast rollout engine.
