//! The relation module of relation networks: from two images' feature maps to how alike they are. Which pairs are compared,
//! and how it learns, is the trainers' business.

use panal_tensor::{Doing, Init, Store};
use tch::Tensor;

use crate::ModelError;
use crate::conv4::{Conv4Spec, ConvBlock, Norms};
use crate::layers::{Linear, Scope};

/// The relation module for few-shot learning (Sung et al., arXiv 1711.06025, section 3.4 and Figure 2): two blocks of 3x3
/// convolution, batch norm, ReLU and max-pool over the two maps one behind the other, a dense layer with ReLU, and one to a single score.
#[derive(Debug)]
pub struct RelationHead {
    blocks: Vec<ConvBlock>,
    hidden: Linear,
    score: Linear,
    maps: [i64; 3],
}

impl RelationHead {
    /// A module for maps of `backbone`, its parameters made in `store` by the names `relation.0.conv.weight`, ...,
    /// `relation.hidden.weight`, `relation.score.weight`, ...; `hidden` is 8 in the paper.
    ///
    /// # Errors
    /// [`ModelError::Field`] for no `hidden` units, or maps smaller than 4 x 4; [`ModelError::Tensor`] where the device fails.
    pub fn new(backbone: &Conv4Spec, hidden: usize, store: &mut Store) -> Result<Self, ModelError> {
        let (width, side) = (backbone.width, backbone.map_side());
        let wrong = |field, allowed: &str, got: usize| ModelError::Field {
            field,
            allowed: allowed.into(),
            got: got.to_string(),
        };
        if !(1..=4096).contains(&hidden) {
            return Err(wrong("hidden", "between 1 and 4096", hidden));
        }
        if side < 4 {
            return Err(wrong(
                "the side of the maps that a relation module compares",
                "at least 4 (fewer `pools` keep maps larger)",
                side,
            ));
        }
        let mut root = Scope::root(store);
        let mut at = root.at("relation");
        let flat = (width * (side / 4) * (side / 4)) as i64;
        let hidden = hidden as i64;
        let blocks = vec![
            ConvBlock::new(&mut at.at(0), [2 * width, width], true)?,
            ConvBlock::new(&mut at.at(1), [width, width], true)?,
        ];
        Ok(Self {
            blocks,
            hidden: Linear::new(&mut at.at("hidden"), [flat, hidden], [Init::linear(flat); 2])?,
            score: Linear::new(&mut at.at("score"), [hidden, 1], [Init::linear(hidden); 2])?,
            maps: [2 * width as i64, side as i64, side as i64],
        })
    }

    /// How alike the two of each pair are: the relation score before the sigmoid that brings it to `(0, 1)`.
    ///
    /// # Shapes
    /// - `pairs`: `[N, 2 width, side, side]` f32, the maps of one image and then those of the other
    /// - returns: `[N]`
    ///
    /// # Errors
    /// [`ModelError::Input`] for pairs of another shape, [`ModelError::Tensor`] where libtorch refuses.
    pub fn forward(&self, pairs: &Tensor, norms: Norms) -> Result<Tensor, ModelError> {
        if pairs.size().get(1..) != Some(&self.maps[..]) {
            let expected = format!("[N, {}, {}, {}]", self.maps[0], self.maps[1], self.maps[2]);
            return Err(ModelError::Input { what: "pairs of maps", expected, got: format!("{:?}", pairs.size()) });
        }
        let layers = || {
            let maps = self.blocks.iter().try_fold(pairs.shallow_clone(), |x, block| block.forward(&x, norms))?;
            let hidden = self.hidden.forward(&maps.f_flatten(1, -1)?)?.f_relu()?;
            self.score.forward(&hidden)?.f_squeeze_dim(1)
        };
        Ok(layers().doing("compute relation scores")?)
    }
}
