//! What a prediction was worth: confusion matrix, precision, recall, F1, intervals and significance tests.
