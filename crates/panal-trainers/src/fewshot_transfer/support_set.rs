//! What is known of each class of a support set: the sum of its features and how many they are, so that classes and images can
//! be added at any time and nothing has to be learnt anew. When a query is of no class is asked in `reject`.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use panal_tensor::{read_weights, write_safetensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Transform;
use super::tasks::{check_features, wrong};
use crate::TrainError;

const FORMAT: &str = "panal support set 1";
/// Where the card stands in the file's metadata, and what its tensor is called.
const KEY: &str = "panal.support_set";
const SUMS: &str = "sums";

/// Whose features they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderCard {
    /// Digest of all that decides a feature: the backbone's weights and the transform of images. Decides what goes together.
    pub digest: String,
    /// What the encoder is called and how its input is made, for a reader and for a program that loads it again.
    pub card: serde_json::Value,
}

/// Classes known by some images of each, over the features of one encoder.
#[derive(Debug)]
pub struct SupportSet {
    encoder: EncoderCard,
    transform: Transform,
    classes: IndexMap<String, Class>,
    /// A query whose highest similarity is less is of no class, if this was chosen.
    pub reject: Option<f64>,
}

#[derive(Debug)]
struct Class {
    /// `[d]` f64: of the transformed features.
    sum: Tensor,
    /// SHA-256 of each image, in hexadecimal.
    images: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    format: String,
    encoder: EncoderCard,
    transform: Transform,
    reject: Option<f64>,
    classes: Vec<(String, Vec<String>)>,
}

impl SupportSet {
    /// A support set without classes.
    pub fn new(encoder: EncoderCard, transform: Transform) -> Self {
        Self { encoder, transform, classes: IndexMap::new(), reject: None }
    }

    /// Adds images of a class, which may be a new one or one that is there.
    ///
    /// # Shapes
    /// - `features`: `[n, d]` f32 on the CPU, every value finite, as the encoder gives them
    /// - `images`: SHA-256 of each image, in hexadecimal
    ///
    /// # Errors
    /// [`TrainError::Spec`] for features of another dimension than those before, another number of digests, and an image that
    /// the set has already. Then the set stays as it was.
    pub fn grow(&mut self, class: &str, features: &Tensor, images: &[String]) -> Result<(), TrainError> {
        let dim = self.classes.first().map(|(_, class)| class.sum.size()[0]);
        check_features("support features", features, dim)?;
        if images.len() as i64 != features.size()[0] {
            let allowed = format!("as many as there are features, {}", features.size()[0]);
            return Err(wrong("support images", &allowed, &images.len()));
        }
        for (index, image) in images.iter().enumerate() {
            let there = self.class_of(image).or_else(|| images[..index].contains(image).then_some(class));
            if let Some(there) = there {
                let allowed = format!("an image that is not in the set, of {there}, already");
                return Err(wrong(&format!("support images[{index}] of {class}"), &allowed, image));
            }
        }
        let sum = self.transform.apply(features)?.f_sum_dim_intlist(0i64, false, Kind::Double)?;
        match self.classes.get_mut(class) {
            Some(known) => {
                known.sum = known.sum.f_add(&sum)?;
                known.images.extend_from_slice(images);
            }
            None => {
                self.classes.insert(class.to_owned(), Class { sum, images: images.to_vec() });
            }
        }
        Ok(())
    }

    /// Names of the classes, in the order that they came.
    pub fn classes(&self) -> Vec<&str> {
        self.classes.keys().map(String::as_str).collect()
    }

    /// Images of each class.
    pub fn counts(&self) -> Vec<usize> {
        self.classes.values().map(|class| class.images.len()).collect()
    }

    /// Whose features these are.
    pub fn encoder(&self) -> &EncoderCard {
        &self.encoder
    }

    /// What is done to features first.
    pub fn transform(&self) -> &Transform {
        &self.transform
    }

    /// The class that has an image of this SHA-256, if one has.
    pub fn class_of(&self, image: &str) -> Option<&str> {
        let has = |class: &Class| class.images.iter().any(|known| known == image);
        self.classes.iter().find(|(_, class)| has(class)).map(|(name, _)| name.as_str())
    }

    /// The cosine of every query with the mean of every class, both transformed.
    ///
    /// # Shapes
    /// - `query`: `[Q, d]` f32 on the CPU, every value finite
    /// - returns: `[Q, classes]` f64
    ///
    /// # Errors
    /// [`TrainError::Spec`] for a set without classes, and for features of another dimension.
    pub fn similarities(&self, query: &Tensor) -> Result<Tensor, TrainError> {
        let sums = self.sums()?;
        check_features("query", query, Some(sums.size()[1]))?;
        // The mean has the direction of the sum.
        let query = self.transform.apply(query)?;
        cosines(&query, &sums)
    }

    /// The same for images that are in the set, of `class`: each is first taken out of its own class.
    ///
    /// # Errors
    /// As [`similarities`](Self::similarities), and [`TrainError::Spec`] for a class that is not there or has one image only.
    pub fn similarities_left_out(&self, class: &str, features: &Tensor) -> Result<Tensor, TrainError> {
        let Some((place, _, known)) = self.classes.get_full(class) else {
            return Err(wrong("class", &format!("one of {}", self.classes().join(", ")), &class));
        };
        if known.images.len() < 2 {
            return Err(wrong(&format!("images of {class}"), "at least 2, to leave one out", &known.images.len()));
        }
        let all = self.similarities(features)?;
        let features = self.transform.apply(features)?;
        let without = known.sum.f_unsqueeze(0)?.f_sub(&features)?;
        let own = unit_rows(&features)?.f_mul(&unit_rows(&without)?)?.f_sum_dim_intlist(1i64, true, Kind::Double)?;
        let at = Tensor::f_full([features.size()[0], 1], place as i64, (Kind::Int64, Device::Cpu))?;
        Ok(all.f_scatter(1, &at, &own)?)
    }

    /// Refuses to go with the features of an encoder of another digest.
    ///
    /// # Errors
    /// [`TrainError::ForeignEncoder`].
    pub fn check_encoder(&self, encoder: &EncoderCard) -> Result<(), TrainError> {
        if self.encoder.digest == encoder.digest {
            return Ok(());
        }
        Err(TrainError::ForeignEncoder { made: self.encoder.digest.clone(), got: encoder.digest.clone() })
    }

    /// Writes the set to one safetensors file, in place of what stood there: the sums, and in the metadata everything else.
    ///
    /// # Errors
    /// [`TrainError::Spec`] for a set without classes; [`TrainError::Tensor`] where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let card = Card {
            format: FORMAT.to_owned(),
            encoder: self.encoder.clone(),
            transform: self.transform.clone(),
            reject: self.reject,
            classes: self.classes.iter().map(|(name, class)| (name.clone(), class.images.clone())).collect(),
        };
        let text = serde_json::to_string(&card)
            .map_err(|error| TrainError::BadSupportSet { path: path.to_owned(), why: error.to_string() })?;
        let metadata = BTreeMap::from([(KEY.to_owned(), text)]);
        Ok(write_safetensors(path, &[(SUMS.to_owned(), self.sums()?)], &metadata)?)
    }

    /// Reads what [`write`](Self::write) wrote. Whose features go with it, [`check_encoder`](Self::check_encoder) asks.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] for a file that cannot be read; [`TrainError::BadSupportSet`] for one that is no support set.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let file = read_weights(path)?;
        let bad = |why: String| TrainError::BadSupportSet { path: path.to_owned(), why };
        let text = file.metadata.get(KEY).ok_or_else(|| bad(format!("its metadata has no `{KEY}`")))?;
        let card: Card = serde_json::from_str(text).map_err(|error| bad(format!("its card: {error}")))?;
        if card.format != FORMAT {
            return Err(bad(format!("its format must be `{FORMAT}`, got `{}`", card.format.escape_debug())));
        }
        let sums = file.tensors.get(SUMS).ok_or_else(|| bad(format!("it has no tensor `{SUMS}`")))?;
        let fits =
            matches!(sums.size()[..], [classes, d] if classes == card.classes.len() as i64 && classes > 0 && d > 0);
        if !fits || sums.kind() != Kind::Double {
            let (size, kind) = (sums.size(), sums.kind());
            return Err(bad(format!("`{SUMS}` is {size:?} of {kind:?} for {} classes", card.classes.len())));
        }
        if sums.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return Err(bad(format!("`{SUMS}` has numbers that are not finite")));
        }
        let mut set = Self { reject: card.reject, ..Self::new(card.encoder, card.transform) };
        for ((name, images), row) in card.classes.into_iter().zip(0i64..) {
            if images.is_empty() || set.classes.contains_key(&name) {
                return Err(bad(format!("class {} is there twice, or without images", name.escape_debug())));
            }
            set.classes.insert(name, Class { sum: sums.f_get(row)?, images });
        }
        Ok(set)
    }

    /// `[classes, d]` f64.
    fn sums(&self) -> Result<Tensor, TrainError> {
        if self.classes.is_empty() {
            return Err(wrong("the support set", "of at least one class", &"none"));
        }
        let sums: Vec<&Tensor> = self.classes.values().map(|class| &class.sum).collect();
        Ok(Tensor::f_stack(&sums, 0)?)
    }
}

/// `[N, M]` f64: the cosine of each row of `a` with each of `b`.
fn cosines(a: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
    Ok(unit_rows(a)?.f_mm(&unit_rows(b)?.f_tr()?)?.f_clamp(-1.0, 1.0)?)
}

/// Rows of unit length in f64; a row of zeros stays.
fn unit_rows(x: &Tensor) -> Result<Tensor, TrainError> {
    let wide = x.f_to_kind(Kind::Double)?;
    let lengths = wide.f_norm_scalaropt_dim(2, [1i64], true)?.f_clamp_min(f64::MIN_POSITIVE)?;
    Ok(wide.f_div(&lengths)?)
}
