//! An augmentation on the device: places first, then colours, then normalisation. What each step does with pixels lives
//! beside it.

use panal_data::augment::{AugmentSpec, Drawn, Op, Pipeline};
use panal_data::transforms::Interpolation;
use panal_data::{DataError, view_rng};
use panal_tensor::{Doing, device_name};
use tch::{Device, Kind, TchError, Tensor};

use crate::resample::{Axis, product, weights};
use crate::support::{check, interpolation};
use crate::{AugmentError, ImageBank, blur, change_some, color, erase, floats, four};

/// An augmentation that runs on the device, for a batch at once, every view of every image with draws of its own. They are
/// those of panal-data's [`Loader`](panal_data::Loader), so what it makes is distributed as what the loader makes, and the
/// same view of the same image under the same seed shows the same, but for the rounding to 8 bits after every step, which
/// is left out here.
#[derive(Debug)]
pub struct Augmenter {
    ops: Vec<Op>,
    pipeline: Pipeline,
    interpolation: Interpolation,
    /// `[1, 3, 1, 1]`.
    mean: Tensor,
    /// `[1, 3, 1, 1]`.
    std: Tensor,
}

impl Augmenter {
    /// The augmentation `spec` on `device`.
    ///
    /// # Errors
    /// [`AugmentError::Unsupported`] naming the first step that does not run on the device; [`AugmentError::Data`] for what
    /// [`AugmentSpec::check`] refuses; [`AugmentError::Tensor`] where the device fails.
    pub fn new(spec: &AugmentSpec, device: Device) -> Result<Self, AugmentError> {
        let pipeline = spec.check()?;
        check(&spec.ops, "ops")?;
        let channels = |values: [f64; 3]| {
            floats(&values.map(|value| value as f32), &[1, 3, 1, 1], device)
                .doing(format_args!("put mean and standard deviation on {}", device_name(device)))
        };
        Ok(Self {
            ops: spec.ops.clone(),
            interpolation: spec.ops.iter().find_map(interpolation).unwrap_or_default(),
            mean: channels(spec.mean)?,
            std: channels(spec.std)?,
            pipeline,
        })
    }

    /// The `(height, width)` of every view.
    pub fn size(&self) -> (u32, u32) {
        self.pipeline.size()
    }

    /// What is drawn for each view: `indices.len() * views` lists, the views of an image side by side, each with an entry for
    /// every step. Image, epoch, view and seed decide, as in a [`Loader`](panal_data::Loader), and nothing else of the batch.
    ///
    /// # Errors
    /// [`AugmentError::Index`] for an image that the bank does not hold.
    pub fn draws(
        &self,
        bank: &ImageBank,
        indices: &[usize],
        epoch: u64,
        views: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Drawn>>, AugmentError> {
        let mut drawn = Vec::with_capacity(indices.len() * views);
        for &index in indices {
            let (height, width) = bank.size(index)?;
            let draw = |view| self.pipeline.draw(height, width, &mut view_rng(seed, epoch, index, view));
            drawn.extend((0..views).map(draw));
        }
        Ok(drawn)
    }

    /// `views` views of each image of `bank` at `indices`. No gradient is recorded. The same arguments give the same values,
    /// and the other images of a batch change them by no more than the rounding of 32-bit floats.
    ///
    /// # Shapes
    /// - `indices`: n of them, in any order, also repeatedly
    /// - returns: `[n * views, 3, height, width]` f32 of [`size`](Self::size), normalised, contiguous; the views of an image
    ///   are adjacent, in the order of panal-data's loader
    ///
    /// # Errors
    /// [`AugmentError::Data`] for no indices or no views; [`AugmentError::Index`] for an image that the bank does not hold;
    /// [`AugmentError::Device`] for a bank on another device; [`AugmentError::Tensor`] where the device fails, for lack of
    /// memory most likely.
    pub fn views(
        &self,
        bank: &ImageBank,
        indices: &[usize],
        epoch: u64,
        views: usize,
        seed: u64,
    ) -> Result<Tensor, AugmentError> {
        for (field, count) in [("the number of indices", indices.len()), ("views", views)] {
            if count == 0 {
                return Err(DataError::field(field, "> 0", count).into());
            }
        }
        let device = self.mean.device();
        if bank.device() != device {
            return Err(AugmentError::Device { augmenter: device_name(device), bank: device_name(bank.device()) });
        }
        let drawn = self.draws(bank, indices, epoch, views, seed)?;
        let mut places = Vec::with_capacity(drawn.len());
        for (&index, drawn) in indices.iter().zip(drawn.chunks_exact(views)) {
            let (height, width) = bank.size(index)?;
            places.extend(drawn.iter().map(|drawn| place(&self.ops, drawn, [height, width].map(Axis::whole))));
        }
        let doing = format!("augment {} images on {}", indices.len(), device_name(device));
        Ok(tch::no_grad(|| self.make(bank, indices, &places, &drawn)).doing(doing)?)
    }

    /// Every pixel of every view; `places` and `drawn` have an entry for each.
    fn make(
        &self,
        bank: &ImageBank,
        indices: &[usize],
        places: &[[Axis; 2]],
        drawn: &[Vec<Drawn>],
    ) -> Result<Tensor, TchError> {
        let images = bank.batch(indices)?;
        let [_, _, height, width] = four(&images)?;
        let axis = |at: usize, length: i64| {
            let axes: Vec<Axis> = places.iter().map(|place| place[at]).collect();
            weights(&axes, length, self.interpolation, images.device())
        };
        let (rows, columns) = (axis(0, height)?, axis(1, width)?);
        // Cubic weights overshoot.
        let limits = (self.interpolation == Interpolation::Bicubic).then_some([0.0, 255.0]);
        let views = product(&images.f_to_kind(Kind::Float)?, &rows, &columns, limits)?.f_div_scalar_(255.0)?;

        let drawn: Vec<Option<&[Drawn]>> = drawn.iter().map(|drawn| Some(&drawn[..])).collect();
        let views = paint(&self.ops, &drawn, views)?.f_sub_(&self.mean)?.f_div_(&self.std)?;
        for (at, drawn) in (0..).zip(drawn) {
            for drawn in drawn.into_iter().flatten() {
                if let Drawn::Erasing(Some(params)) = drawn {
                    erase::erase(&views, at, params)?;
                }
            }
        }
        Ok(views)
    }
}

/// Where the rows and the columns of a view come from. Every step that moves pixels counts here, wherever it stands: the
/// others do the same to a mirrored image.
fn place(ops: &[Op], drawn: &[Drawn], [mut rows, mut columns]: [Axis; 2]) -> [Axis; 2] {
    for step in ops.iter().zip(drawn) {
        match step {
            (Op::Resize(op), _) => {
                let (height, width) = op.target(rows.count, columns.count);
                (rows, columns) = (rows.resized(height), columns.resized(width));
            }
            (Op::CenterCrop(op), _) => {
                let ((top, left), (height, width)) = (op.start(rows.count, columns.count), op.size.square());
                (rows, columns) = (rows.window(top, height), columns.window(left, width));
            }
            (Op::RandomResizedCrop(op), Drawn::Crop(crop)) => {
                let (height, width) = op.size.square();
                rows = rows.cut(crop.top, crop.height).resized(height);
                columns = columns.cut(crop.left, crop.width).resized(width);
            }
            (Op::RandomHorizontalFlip(_), Drawn::Flip(true)) => columns = columns.mirrored(),
            (Op::RandomVerticalFlip(_), Drawn::Flip(true)) => rows = rows.mirrored(),
            (Op::RandomApply(op), Drawn::Apply(Some(drawn))) => {
                [rows, columns] = place(&op.ops, drawn, [rows, columns]);
            }
            _ => {}
        }
    }
    [rows, columns]
}

/// Every step that changes colours, in order.
///
/// # Shapes
/// - `drawn`: B of them, each `None` for an image that no step is made of, or an entry for each of `ops`
/// - `images`: `[B, 3, H, W]` f32 in `[0, 1]`, contiguous, of which nobody else has a handle
/// - returns: the same
fn paint(ops: &[Op], drawn: &[Option<&[Drawn]>], mut images: Tensor) -> Result<Tensor, TchError> {
    for (step, op) in ops.iter().enumerate() {
        let drawn = || drawn.iter().map(|drawn| drawn.map(|drawn| &drawn[step]));
        images = match op {
            Op::ColorJitter(_) => {
                let adjustments: Vec<_> = drawn()
                    .map(|drawn| if let Some(Drawn::Adjustments(list)) = drawn { &list[..] } else { &[] })
                    .collect();
                color::adjust(images, &adjustments)?
            }
            Op::RandomGrayscale(_) => {
                let grey: Vec<_> = drawn().map(|drawn| matches!(drawn, Some(Drawn::Grey(true)))).collect();
                color::to_grey(images, &grey)?
            }
            Op::GaussianBlur(op) => {
                let (at, sigmas): (Vec<i64>, Vec<f64>) = (0..)
                    .zip(drawn())
                    .filter_map(
                        |(at, drawn)| if let Some(Drawn::Blur(sigma)) = drawn { Some((at, *sigma)) } else { None },
                    )
                    .unzip();
                change_some(images, &at, |images| blur::blur(images, &sigmas, op.kernel_size))?
            }
            Op::RandomApply(op) => {
                let inner: Vec<_> = drawn()
                    .map(|drawn| if let Some(Drawn::Apply(Some(inner))) = drawn { Some(&inner[..]) } else { None })
                    .collect();
                paint(&op.ops, &inner, images)?
            }
            _ => images,
        };
    }
    Ok(images)
}
