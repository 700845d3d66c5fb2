//! The augmentation spec (`AugmentSpec`) and the pipeline that it is checked into.
