//! The one way to obtain a random generator in panal: from a seed and a key. What is drawn from it lives elsewhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The generator for one purpose: `seed` is the user's, `key` says what the draws are for,
/// for example `[stream, epoch, sample]`.
///
/// The 32 bytes that seed [`ChaCha8Rng`] are the SHA-256 digest of `seed` and then each word of `key`, every word as
/// eight little-endian bytes. So draws for different keys are independent, keys of different lengths never meet, and
/// the number of threads, the order of work and a resumed run change nothing.
///
/// ```
/// use rand::RngExt;
///
/// let mut rng = panal_data::keyed_rng(7, &[0, 3, 41]);
/// let again: u64 = panal_data::keyed_rng(7, &[0, 3, 41]).random();
/// assert_eq!(rng.random::<u64>(), again);
/// ```
pub fn keyed_rng(seed: u64, key: &[u64]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for word in key {
        hash.update(word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    /// Saved runs can be resumed, and published numbers repeated, only while these values stand.
    #[test]
    fn the_stream_never_changes() {
        let mut plain = keyed_rng(0, &[]);
        let mut keyed = keyed_rng(42, &[1, 2, 3]);
        assert_eq!([plain.next_u64(), plain.next_u64()], [5365756809105173090, 16211745055306657461]);
        assert_eq!([keyed.next_u64(), keyed.next_u64()], [17343808527110525551, 11146919599227827864]);
    }

    #[test]
    fn every_word_of_the_key_counts() {
        let draws: std::collections::BTreeSet<u64> =
            [&[] as &[u64], &[0], &[0, 0], &[1], &[0, 1], &[1, 0], &[u64::MAX]]
                .into_iter()
                .map(|key| keyed_rng(5, key).next_u64())
                .collect();
        assert_eq!(draws.len(), 7);
    }
}
