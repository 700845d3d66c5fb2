//! Blocks of rows, so that a matrix of similarities is never held whole. What is done with a block lives with the losses.

/// Entries of the matrix in a block where the caller names no number: 16 MiB of f32.
pub(crate) const ENTRIES: usize = 1 << 22;

/// Rows of a block that has at most `entries` entries in `columns` columns, and at least one row.
pub(crate) fn height(rows: i64, columns: i64, entries: usize) -> i64 {
    (i64::try_from(entries).unwrap_or(i64::MAX) / columns.max(1)).clamp(1, rows.max(1))
}

/// First row and number of rows of each block.
pub(crate) fn blocks(rows: i64, columns: i64, entries: usize) -> impl Iterator<Item = (i64, i64)> {
    let height = height(rows, columns, entries);
    let mut start = 0;
    std::iter::from_fn(move || {
        let block = (start, height.min(rows - start));
        start += block.1;
        (block.1 > 0).then_some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_row_once_and_keep_the_bound() {
        assert_eq!(blocks(7, 5, 15).collect::<Vec<_>>(), [(0, 3), (3, 3), (6, 1)]);
        assert_eq!(blocks(6, 5, 14).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 2)]);
        assert_eq!(blocks(2, 5, 0).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        assert_eq!(blocks(3, 5, usize::MAX).collect::<Vec<_>>(), [(0, 3)]);
    }
}
