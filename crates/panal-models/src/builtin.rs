//! The weights that come with panal: a small backbone, pretrained on drawn insects. How it was made, `data/backbone` tells.

use std::path::Path;

use panal_tensor::{TensorError, Weights, parse_weights};

/// Its file's name, as errors and logs say it.
const NAME: &str = "resnet10_w24-insects.safetensors";

/// The weights of [`Arch::Resnet10W24`](crate::Arch::Resnet10W24), pretrained by panal's own trainer on pictures of every species
/// of `panal_data::Insects` but ants and bees. The head is that of those species; another replaces it as with any weights.
///
/// # Errors
/// None but a mistake in this crate, or lack of memory.
pub fn insects_weights() -> Result<Weights, TensorError> {
    parse_weights(include_bytes!("../weights/resnet10_w24-insects.safetensors"), Path::new(NAME))
}
