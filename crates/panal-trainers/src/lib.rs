//! Training loops for learning image classification from few labels, on shared, resumable parts.
