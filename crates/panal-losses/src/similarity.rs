//! How alike two embeddings are: cosine or dot product, over rows in enough precision. What a loss makes of that lives in its own file.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// How alike two embeddings are. SimCLR compares the two in its Table 5 (arXiv 2002.05709).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// The dot product of the two after each was divided by its length (L2). A row of zeros has no direction: it stays
    /// zero, and so is its similarity to every row.
    #[default]
    Cosine,
    /// The dot product of the two as they are.
    Dot,
}

impl Similarity {
    /// Rows whose dot products are the similarity, in [`wide`] precision.
    pub(crate) fn rows(self, z: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Cosine => unit_rows(z),
            Self::Dot => z.f_to_kind(wide(z.kind())),
        }
    }
}

/// The kind that a loss over embeddings of this kind is computed in, and has: Float for the half kinds.
pub(crate) fn wide(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}

/// The rows divided by their lengths, in [`wide`] precision; a row of zeros stays as it is.
///
/// Each row is first divided by its largest entry, so that no square runs over or under: any length will do.
pub(crate) fn unit_rows(z: &Tensor) -> Result<Tensor, TchError> {
    let z = z.f_to_kind(wide(z.kind()))?;
    let largest = z.f_detach()?.f_abs()?.f_amax([1_i64], true)?;
    let nothing = largest.f_eq(0.0)?.f_to_kind(z.kind())?;
    let scaled = z.f_div(&largest.f_add(&nothing)?)?;
    let length = scaled.f_norm_scalaropt_dim(2, [1_i64], true)?;
    scaled.f_div(&length.f_add(&nothing)?)
}

/// Row `2k + 1` in the place of row `2k`, and the other way round.
pub(crate) fn partners(rows: &Tensor) -> Result<Tensor, TchError> {
    let size = rows.size();
    rows.f_reshape([-1, 2, size[1]])?.f_flip([1_i64])?.f_reshape(&size)
}

/// The first views and the second views, `[N, d]` each.
pub(crate) fn views(rows: &Tensor) -> Result<(Tensor, Tensor), TchError> {
    let images = rows.f_reshape([-1, 2, rows.size()[1]])?;
    Ok((images.f_select(1, 0)?, images.f_select(1, 1)?))
}
