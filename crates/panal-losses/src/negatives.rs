//! Triplets of anchor, positive and negative, and the choice among the negatives. The losses over triplets live in their own files.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::similarity::views;

/// Which negatives of an anchor count in [`nt_logistic`](crate::nt_logistic) and [`margin_triplet`](crate::margin_triplet).
///
/// An anchor is any of the `2N` rows, and its positive `v⁺` the other view of its image. Candidates for negatives are the
/// `N - 1` views of other images in the positive's place: second views for a first view, first views for a second. So
/// SimCLR compares these losses in its Table 4, with the negatives of one view (arXiv 2002.05709, Appendix B.10).
/// It matters therefore which view of an image stands first: to change it in one image changes who meets whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// All `N - 1` candidates.
    #[default]
    All,
    /// The most similar candidate among those that are less similar than the positive (FaceNet, arXiv 1503.03832, section
    /// 3.2; SimCLR, section 5.1). One that lies outside the margin costs a margin loss nothing, so the margin needs no look
    /// here. An anchor may have none.
    SemiHard,
}

/// All triplets that count, anchors in rows: the first views, then the second views.
pub(crate) struct Triplets {
    /// `[2N, 1]`: the similarity of each anchor and its positive.
    pub(crate) positive: Tensor,
    /// `[2N, K]`: the similarity of each anchor and its negatives; with [`Negatives::All`] the positive stands among them.
    pub(crate) negative: Tensor,
    /// `[2N, K]`: 1 over the number of negatives an anchor should have, 0 where there is none.
    weight: Tensor,
}

impl Triplets {
    /// `u: [2N, d]`, unit rows, views interleaved.
    pub(crate) fn of(u: &Tensor, negatives: Negatives) -> Result<Self, TchError> {
        let (first, second) = views(u)?;
        let images = first.size()[0];
        let across = first.f_mm(&second.f_transpose(0, 1)?)?;
        let positive = across.f_diagonal(0, 0, 1)?.f_repeat([2_i64])?.f_unsqueeze(1)?;
        let all = Tensor::f_cat(&[&across, &across.f_transpose(0, 1)?], 0)?;
        let other = Tensor::f_eye(images, (Kind::Bool, u.device()))?.f_logical_not()?.f_repeat([2_i64, 1])?;
        match negatives {
            Negatives::All => {
                let weight = other.f_to_kind(u.kind())?.f_div_scalar(images - 1)?;
                Ok(Self { positive, negative: all, weight })
            }
            Negatives::SemiHard => {
                let farther = all.f_lt_tensor(&positive)?.f_logical_and(&other)?;
                let (best, which) =
                    all.f_detach()?.f_masked_fill(&farther.f_logical_not()?, f64::NEG_INFINITY)?.f_max_dim(1, true)?;
                let weight = best.f_gt(f64::NEG_INFINITY)?.f_to_kind(u.kind())?;
                Ok(Self { positive, negative: all.f_gather(1, &which, false)?, weight })
            }
        }
    }

    /// The mean of `terms: [2N, K]` over an anchor's negatives, then over the `2N` anchors; an anchor without one counts as zero.
    pub(crate) fn mean(&self, terms: &Tensor) -> Result<Tensor, TchError> {
        terms.f_mul(&self.weight)?.f_sum(terms.kind())?.f_div_scalar(terms.size()[0])
    }
}
