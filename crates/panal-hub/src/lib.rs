//! The catalogue of data sets and weights, and how they are fetched, verified, cached and unpacked.
