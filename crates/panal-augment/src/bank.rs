//! The decoded images of a data set in the device's memory. What is made of them lives in `augmenter`.

use panal_data::{DataError, DataSource};
use panal_tensor::{Doing, device_name};
use tch::{Device, Kind, TchError, Tensor};

use crate::{AugmentError, places};

/// The decoded images of a data set on the device, 8 bits a channel: exactly `3 * height * width` bytes for each, one image
/// after the other, whether or not they have one size. CIFAR-10's 50,000 training images take 154 MB.
#[derive(Debug)]
pub struct ImageBank {
    /// `[bytes]` u8: image after image, channel after channel, row after row.
    pixels: Tensor,
    /// `(height, width)` of each image.
    sizes: Vec<(u32, u32)>,
    /// Where each image begins in `pixels`.
    starts: Vec<i64>,
    /// Whether all images have one size.
    uniform: bool,
}

impl ImageBank {
    /// Decodes every image of `source`, one after the other, and puts them on `device` if they take at most `limit` bytes.
    /// While it is made the machine's memory holds them too, for a moment twice.
    ///
    /// # Errors
    /// [`AugmentError::TooLarge`] as soon as the images decoded so far take more than `limit` bytes; [`AugmentError::Data`]
    /// for no images at all or the first that cannot be decoded; [`AugmentError::Tensor`] where the device has no room.
    pub fn new(source: &dyn DataSource, device: Device, limit: usize) -> Result<Self, AugmentError> {
        if source.is_empty() {
            return Err(DataError::field("the number of images of a bank", "> 0", 0).into());
        }
        let mut bytes: Vec<u8> = Vec::new();
        let mut sizes = Vec::with_capacity(source.len());
        let mut starts = Vec::with_capacity(source.len());
        for index in 0..source.len() {
            starts.push(bytes.len() as i64);
            source.look_at(index, &mut |image| {
                sizes.push((image.height(), image.width()));
                if bytes.len() + image.as_raw().len() <= limit {
                    (0..3).for_each(|channel| bytes.extend(image.as_raw().iter().skip(channel).step_by(3)));
                }
            })?;
            let (height, width) = sizes[index];
            let taken = starts[index] as usize + 3 * height as usize * width as usize;
            if taken > limit {
                return Err(AugmentError::TooLarge {
                    name: source.name().to_owned(),
                    device: device_name(device),
                    limit,
                    images: index + 1,
                    of: source.len(),
                    bytes: taken,
                });
            }
        }
        let pixels = Tensor::f_from_slice(&bytes).and_then(|pixels| pixels.f_to_device(device)).doing(format_args!(
            "put {} bytes of images on {}",
            bytes.len(),
            device_name(device)
        ))?;
        let uniform = sizes.iter().all(|size| *size == sizes[0]);
        Ok(Self { pixels, sizes, starts, uniform })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are none; a bank always has some.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// The bytes that the images take on the device.
    pub fn bytes(&self) -> usize {
        self.pixels.numel()
    }

    /// Where the images lie.
    pub fn device(&self) -> Device {
        self.pixels.device()
    }

    /// `(height, width)` of image `index`.
    ///
    /// # Errors
    /// [`AugmentError::Index`] for an image that the bank does not hold.
    pub fn size(&self, index: usize) -> Result<(u32, u32), AugmentError> {
        self.sizes.get(index).copied().ok_or(AugmentError::Index { index, len: self.len() })
    }

    /// The images at `indices`, each of which the bank holds, in the top left corner of a frame as high as the highest of
    /// them and as wide as the widest: `[n, 3, H, W]` u8, zero beside an image.
    pub(crate) fn batch(&self, indices: &[usize]) -> Result<Tensor, TchError> {
        if self.uniform {
            let (height, width) = self.sizes[0];
            let all = self.pixels.f_view([self.len() as i64, 3, i64::from(height), i64::from(width)])?;
            let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
            return all.f_index_select(0, &places(&indices, self.device())?);
        }
        let longest = |side: fn(&(u32, u32)) -> u32| {
            i64::from(indices.iter().map(|&index| side(&self.sizes[index])).max().unwrap_or(0))
        };
        let frame = [indices.len() as i64, 3, longest(|size| size.0), longest(|size| size.1)];
        let batch = Tensor::f_zeros(frame, (Kind::Uint8, self.device()))?;
        for (place, &index) in (0..).zip(indices) {
            let [height, width] = <[u32; 2]>::from(self.sizes[index]).map(i64::from);
            let image = self.pixels.f_narrow(0, self.starts[index], 3 * height * width)?.f_view([3, height, width])?;
            batch.f_select(0, place)?.f_narrow(1, 0, height)?.f_narrow(2, 0, width)?.f_copy_(&image)?;
        }
        Ok(batch)
    }
}
