//! A data set as one tensor of small images, decoded and resized once, and episodes of it as tasks, turned and bent as they say.
//! Nothing learns here.

use panal_data::transforms::{Interpolation, Resize, Size};
use panal_data::{DataSource, Episode, EpisodeItem, Rotation, keyed_rng};
use panal_models::Conv4Spec;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::spec::{AffineSpec, wrong};
use super::task::{Labels, Task};
use crate::TrainError;

/// Images are kept at so many times the side that the network takes, and averaged down after they were bent.
const FINER: i64 = 2;

/// What the draws of this file are keyed by.
const AFFINE_STREAM: u64 = 0x4146_4649_4e45;

/// What becomes of an image's colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// One channel in which black is 1 and white 0, for drawings.
    #[default]
    Ink,
    /// One channel of brightness, from 0 to 1: the mean of red, green and blue.
    Grey,
    /// Three channels from 0 to 1.
    Colour,
}

impl Tone {
    fn channels(self) -> usize {
        if self == Self::Colour { 3 } else { 1 }
    }

    pub(super) fn check(self, network: &Conv4Spec) -> Result<(), TrainError> {
        if network.channels == self.channels() {
            return Ok(());
        }
        let allowed = format!("{}, which `tone` gives", self.channels());
        Err(wrong("network.channels", allowed, network.channels))
    }

    fn values(self, [red, green, blue]: [u8; 3]) -> impl Iterator<Item = u8> {
        let mean = ((u16::from(red) + u16::from(green) + u16::from(blue) + 1) / 3) as u8;
        let (values, count) = match self {
            Self::Ink => ([255 - mean; 3], 1),
            Self::Grey => ([mean; 3], 1),
            Self::Colour => ([red, green, blue], 3),
        };
        values.into_iter().take(count)
    }
}

/// All images of a data set, small.
#[derive(Debug)]
pub struct FewShotImages {
    /// `[N, C, FINER side, FINER side]` u8.
    pixels: Tensor,
    side: i64,
    tone: Tone,
}

impl FewShotImages {
    /// Reads every image of `source`, on all threads of rayon's global pool; each is resized to a square whatever its form was.
    ///
    /// # Errors
    /// An image that cannot be read, by name; a data set without images; [`TrainError::Torch`] where the device fails.
    pub fn load(source: &dyn DataSource, side: usize, tone: Tone, device: Device) -> Result<Self, TrainError> {
        if source.is_empty() {
            return Err(wrong("the number of images", "at least 1", 0));
        }
        let fine = side as i64 * FINER;
        let resize = Resize { size: Size::Both([fine as u32; 2]), interpolation: Interpolation::Bilinear };
        let read = |index| -> Result<Vec<u8>, TrainError> {
            let mut small = None;
            source.look_at(index, &mut |image| small = Some(resize.apply(image)))?;
            let small = small.unwrap_or_default();
            Ok(small.pixels().flat_map(|pixel| tone.values(pixel.0)).collect())
        };
        let all: Vec<Vec<u8>> = (0..source.len()).into_par_iter().map(read).collect::<Result<_, _>>()?;
        let shape = [source.len() as i64, fine, fine, tone.channels() as i64];
        let pixels = Tensor::f_from_slice(&all.concat())?.f_view(shape)?.f_permute([0, 3, 1, 2])?;
        Ok(Self { pixels: pixels.f_contiguous()?.f_to(device)?, side: side as i64, tone })
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels.size()[0] as usize
    }

    /// Always false: there is at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An episode as it is.
    pub(crate) fn task(&self, episode: &Episode) -> Result<Task, TrainError> {
        self.task_with(episode, Ok)
    }

    /// An episode whose images are bent, each by draws of its own from `seed` and the episode's number.
    pub(crate) fn bent_task(&self, episode: &Episode, affine: &AffineSpec, seed: u64) -> Result<Task, TrainError> {
        self.task_with(episode, |images| {
            let count = images.size()[0];
            let maps: Vec<f32> = (0..count as u64)
                .flat_map(|item| inverse_map(affine, &mut keyed_rng(seed, &[AFFINE_STREAM, episode.number, item])))
                .collect();
            let maps = Tensor::f_from_slice(&maps)?.f_view([count, 2, 3])?.f_to(images.device())?;
            let grid = Tensor::f_affine_grid_generator(&maps, images.size(), false)?;
            // Bilinear; beyond the edge there is no ink, or more of the edge.
            let beyond = if self.tone == Tone::Ink { 0 } else { 1 };
            Ok(images.f_grid_sampler(&grid, 0, beyond, false)?)
        })
    }

    fn task_with(
        &self,
        episode: &Episode,
        bend: impl FnOnce(Tensor) -> Result<Tensor, TrainError>,
    ) -> Result<Task, TrainError> {
        let items: Vec<&EpisodeItem> = episode.items().collect();
        self.check(items.iter().map(|item| item.image))?;
        if episode.query.is_empty() {
            return Err(wrong("the queries of an episode", "at least 1", 0));
        }
        let device = self.pixels.device();
        let labels = Labels::new(episode.support.iter().map(|item| item.label).collect(), episode.ways.len(), device)?;
        let truth: Vec<i64> = episode.query.iter().map(|item| item.label as i64).collect();
        let images = averaged(&bend(self.turned(&items)?)?)?;
        let (support, query) = (episode.support.len() as i64, episode.query.len() as i64);
        Ok(Task {
            support: images.f_narrow(0, 0, support)?,
            query: images.f_narrow(0, support, query)?,
            labels,
            truth: Tensor::f_from_slice(&truth)?.f_to(device)?,
        })
    }

    /// Some of the images without an episode, `[N, C, side, side]` f32 from 0 to 1.
    pub(crate) fn as_they_are(&self, indices: &[usize]) -> Result<Tensor, TrainError> {
        self.check(indices.iter().copied())?;
        averaged(&self.chosen(indices.iter().copied())?)
    }

    fn check(&self, mut indices: impl Iterator<Item = usize>) -> Result<(), TrainError> {
        match indices.find(|&index| index >= self.len()) {
            Some(index) => Err(wrong("the number of an image", format!("< {}", self.len()), index)),
            None => Ok(()),
        }
    }

    /// `[N, C, FINER side, FINER side]` f32 from 0 to 1.
    fn chosen(&self, indices: impl Iterator<Item = usize>) -> Result<Tensor, TrainError> {
        let rows = Tensor::f_from_slice(&indices.map(|index| index as i64).collect::<Vec<_>>())?;
        let images = self.pixels.f_index_select(0, &rows.f_to(self.pixels.device())?)?;
        Ok(images.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?)
    }

    /// [`FewShotImages::chosen`], each turned as its item says.
    fn turned(&self, items: &[&EpisodeItem]) -> Result<Tensor, TrainError> {
        let device = self.pixels.device();
        let rows = |rows: Vec<i64>| Tensor::f_from_slice(&rows)?.f_to(device);
        let mut images = self.chosen(items.iter().map(|item| item.image))?;
        for (turns, rotation) in Rotation::ALL.into_iter().enumerate().skip(1) {
            let places = items.iter().enumerate().filter(|(_, item)| item.rotation == rotation);
            let places: Vec<i64> = places.map(|(place, _)| place as i64).collect();
            if places.is_empty() {
                continue;
            }
            let places = rows(places)?;
            // torch turns counter-clockwise.
            let turned = images.f_index_select(0, &places)?.f_rot90(-(turns as i64), [2, 3])?;
            images = images.f_index_copy(0, &places, &turned)?;
        }
        Ok(images)
    }

    /// Height and width of an image, as the network takes it.
    pub(crate) fn side(&self) -> i64 {
        self.side
    }

    /// What became of the colours.
    pub(crate) fn tone(&self) -> Tone {
        self.tone
    }
}

/// Images at the side that the network takes.
fn averaged(finer: &Tensor) -> Result<Tensor, TrainError> {
    let kernel = [FINER, FINER];
    Ok(finer.f_avg_pool2d(kernel, kernel, [0, 0], false, true, None)?)
}

/// From points of the bent image to points of the image, both from -1 to 1: the two rows of the inverse of "shear and stretch,
/// turn, then move".
fn inverse_map(affine: &AffineSpec, rng: &mut impl rand::Rng) -> [f32; 6] {
    let mut within = |[min, max]: [f64; 2]| min + (max - min) * rng.random::<f64>();
    let (sin, cos) = within([-affine.degrees, affine.degrees]).to_radians().sin_cos();
    let shear = within([-affine.shear, affine.shear]).to_radians().tan();
    let [sx, sy] = [within(affine.scale), within(affine.scale)];
    // A side is 2 long here.
    let [tx, ty] = [(); 2].map(|()| 2.0 * within([-affine.translate, affine.translate]));
    // The map is [[cos, -sin], [sin, cos]] [[1, shear], [0, 1]] diag(sx, sy), and its inverse the inverses the other way round.
    let (a, b) = ((cos + shear * sin) / sx, (sin - shear * cos) / sx);
    let (c, d) = (-sin / sy, cos / sy);
    [a, b, -(a * tx + b * ty), c, d, -(c * tx + d * ty)].map(|value| value as f32)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use panal_data::{DataError, EpisodeClass};

    use super::*;

    struct One(RgbImage);

    impl DataSource for One {
        fn name(&self) -> &str {
            "one"
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn len(&self) -> usize {
            1
        }
        fn label(&self, _: usize) -> usize {
            0
        }
        fn id(&self, _: usize) -> String {
            "one.png".into()
        }
        fn image(&self, _: usize) -> Result<RgbImage, DataError> {
            Ok(self.0.clone())
        }
        fn content_digest(&self, _: usize) -> Result<[u8; 32], DataError> {
            Ok([0; 32])
        }
    }

    fn corner() -> RgbImage {
        RgbImage::from_fn(8, 8, |x, y| Rgb(if x < 4 && y < 2 { [0; 3] } else { [255; 3] }))
    }

    fn episode(rotation: Rotation) -> Episode {
        let item = EpisodeItem { image: 0, rotation, label: 0 };
        let way = EpisodeClass { class: 0, rotation };
        Episode { number: 3, ways: vec![way], support: vec![item], query: vec![item] }
    }

    fn values(t: &Tensor) -> Vec<f32> {
        Vec::try_from(t.contiguous().view(-1)).unwrap()
    }

    #[test]
    fn ink_is_1_and_turns_are_those_of_the_data() {
        for rotation in Rotation::ALL {
            let turned = rotation.apply(corner());
            let images = FewShotImages::load(&One(corner()), 4, Tone::Ink, Device::Cpu).unwrap();
            let expected = FewShotImages::load(&One(turned), 4, Tone::Ink, Device::Cpu).unwrap();
            let found = values(&images.task(&episode(rotation)).unwrap().query);
            assert_eq!(found, values(&expected.task(&episode(Rotation::None)).unwrap().query), "{rotation:?}");
            assert_eq!(found.iter().sum::<f32>(), 2.0);
        }
    }

    #[test]
    fn no_bend_bends_nothing_and_a_move_moves() {
        let images = FewShotImages::load(&One(corner()), 4, Tone::Ink, Device::Cpu).unwrap();
        let plain = images.task(&episode(Rotation::None)).unwrap();
        let still = AffineSpec { degrees: 0.0, translate: 0.0, scale: [1.0, 1.0], shear: 0.0 };
        let bent = images.bent_task(&episode(Rotation::None), &still, 0).unwrap();
        assert!((&plain.query - &bent.query).abs().max().double_value(&[]) < 1e-6);
        let moved = AffineSpec { translate: 0.4, ..still };
        let [one, again, other] =
            [0, 0, 1].map(|seed| images.bent_task(&episode(Rotation::None), &moved, seed).unwrap());
        assert_eq!(values(&one.query), values(&again.query));
        assert_ne!(values(&one.query), values(&other.query));
        // Each image has its own draw.
        assert_ne!(values(&one.query), values(&one.support));
    }

    #[test]
    fn the_inverse_undoes_the_map() {
        let affine = AffineSpec { degrees: 40.0, translate: 0.2, scale: [0.7, 1.3], shear: 20.0 };
        let [a, b, x, c, d, y] = inverse_map(&affine, &mut keyed_rng(5, &[])).map(f64::from);
        // The same draws, forward.
        let mut rng = keyed_rng(5, &[]);
        let mut within = |[min, max]: [f64; 2]| min + (max - min) * rng.random::<f64>();
        let (sin, cos) = within([-40.0, 40.0]).to_radians().sin_cos();
        let shear = within([-20.0, 20.0]).to_radians().tan();
        let [sx, sy] = [within([0.7, 1.3]), within([0.7, 1.3])];
        let [tx, ty] = [2.0 * within([-0.2, 0.2]), 2.0 * within([-0.2, 0.2])];
        let (px, py) = (0.3, -0.8);
        let (qx, qy) = (sx * px + shear * sy * py, sy * py);
        let (rx, ry) = (cos * qx - sin * qy + tx, sin * qx + cos * qy + ty);
        assert!((a * rx + b * ry + x - px).abs() < 1e-6 && (c * rx + d * ry + y - py).abs() < 1e-6);
    }

    #[test]
    fn what_the_images_do_not_have_is_refused() {
        let images = FewShotImages::load(&One(corner()), 4, Tone::Ink, Device::Cpu).unwrap();
        let mut wrong = episode(Rotation::None);
        wrong.query[0].image = 1;
        assert_eq!(images.task(&wrong).unwrap_err().to_string(), "the number of an image must be < 1, got 1");
        wrong.query.clear();
        assert_eq!(images.task(&wrong).unwrap_err().to_string(), "the queries of an episode must be at least 1, got 0");
    }
}
