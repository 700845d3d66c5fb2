//! SGD and AdamW with learning-rate schedules whose whole state can be saved and restored.
